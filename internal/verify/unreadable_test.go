package verify

import (
	"os"
	"testing"

	"snapmerge/internal/btrfstest"
)

// TestUnreadable: the disk has lost a bit of a mail at home. Reading it fails, and
// a verify with digests says which mail it is, and goes on with the others.
func TestUnreadable(t *testing.T) {
	fs := btrfstest.New(t, 1<<30)
	w := worldOn(t, fs)
	const text = "a text that is nowhere else on this disk"
	f, err := os.OpenFile(w.online("cur/10.j:2,S"), os.O_WRONLY|os.O_CREATE, 0o600)
	w.must(err)
	_, err = f.WriteString("Subject: lost\n\n" + text + string(make([]byte, 9000)))
	w.must(err)
	w.must(f.Close())
	w.sync()
	if _, err := os.ReadFile(w.home("cur/10.j:2,S")); err != nil {
		t.Fatal(err)
	}
	fs.Spoil(t, []byte(text))
	res := w.verify(Options{Digest: true})
	if len(res.Findings) != 1 || res.Findings[0].Code != "unreadable" || res.Findings[0].Where != w.home("cur/10.j:2,S") || res.Digests != res.Mails-1 {
		t.Errorf("%+v", res)
	}
}
