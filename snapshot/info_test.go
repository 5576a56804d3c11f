package snapshot

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
)

// TestIoctlSizes: the numbers of linux/btrfs.h hold the sizes of the structs,
// so a wrong struct is a wrong number.
func TestIoctlSizes(t *testing.T) {
	for _, tt := range []struct {
		name      string
		size      uintptr
		want      uintptr
		req, hdr  uintptr
		offsetOf  uintptr
		wantAfter uintptr
	}{
		{"BTRFS_IOC_GET_SUBVOL_INFO", unsafe.Sizeof(subvolInfo{}), 504, iocGetSubvol, 0x81f8943c, unsafe.Offsetof(subvolInfo{}.uuid), 296},
		{"BTRFS_IOC_FS_INFO", unsafe.Sizeof(fsInfo{}), 1024, iocFsInfo, 0x8400941f, unsafe.Offsetof(fsInfo{}.fsid), 16},
	} {
		if tt.size != tt.want || tt.req != tt.hdr || tt.offsetOf != tt.wantAfter {
			t.Errorf("%s: %d bytes, number %#x, UUID at %d", tt.name, tt.size, tt.req, tt.offsetOf)
		}
	}
}

// TestRead compares with what btrfs(8) prints.
func TestRead(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	snap := fs.Snapshot(t, live, "snap")
	for _, path := range []string{live, snap, fs.Snapshot(t, snap, "of-snap")} {
		info, err := Read(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		shown := show(t, path)
		got := map[string]string{
			"UUID":          info.UUID.String(),
			"Parent UUID":   orDash(info.ParentUUID),
			"Received UUID": orDash(info.ReceivedUUID),
			"Subvolume ID":  strconv.FormatUint(info.ID, 10),
			"Generation":    strconv.FormatUint(info.Generation, 10),
			"Creation time": info.Otime.Format("2006-01-02 15:04:05 -0700"),
			"Flags":         map[bool]string{true: "readonly", false: "-"}[info.ReadOnly],
		}
		for k, v := range got {
			if shown[k] != v {
				t.Errorf("%s: %s is %q, btrfs says %q", path, k, v, shown[k])
			}
		}
		if time.Since(info.Otime).Abs() > time.Minute || info.Otime.Nanosecond() == 0 {
			t.Errorf("%s: made %v", path, info.Otime)
		}
	}
}

// TestReadReceived: a received snapshot knows where it comes from.
func TestReadReceived(t *testing.T) {
	fs := btrfstest.Shared(t)
	snap := fs.Snapshot(t, fs.Subvolume(t, "live"), "snap")
	into := filepath.Join(fs.Path, "into")
	if err := os.Mkdir(into, 0o700); err != nil {
		t.Fatal(err)
	}
	script := `btrfs send -q "$1" | btrfs receive -q "$2"`
	if out, err := exec.Command("sh", "-c", script, "sh", snap, into).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sent, err := Read(snap)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(filepath.Join(into, "snap"))
	if err != nil {
		t.Fatal(err)
	}
	if got.ReceivedUUID != sent.UUID || got.Stransid != sent.Ctransid || sent.Ctransid == 0 {
		t.Errorf("received %+v\nof %+v", got, sent)
	}
}

func TestReadRefuses(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	plain := filepath.Join(live, "plain")
	file := filepath.Join(live, "file")
	err := errors.Join(os.Mkdir(plain, 0o700), os.WriteFile(file, nil, 0o600), unix.Mkfifo(filepath.Join(live, "fifo"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		plain:                       ErrNotSubvolume,
		file:                        ErrNotSubvolume,
		filepath.Join(live, "fifo"): ErrNotSubvolume,
		filepath.Join(live, "gone"): ErrNotExist,
		"/proc":                     ErrNotBtrfs,
		inode256(t):                 ErrNotBtrfs,
	} {
		if info, err := Read(path); !errors.Is(err, want) || info != (Info{}) {
			t.Errorf("%s: %+v, error %v, want %v", path, info, err, want)
		}
	}
}

// A UUID may come from the other host: whatever the text, it is an error or what
// String makes.
func TestUUIDText(t *testing.T) {
	const good = "01020304-0506-0708-090a-0b0c0d0e0f10"
	var u UUID
	if err := u.UnmarshalText([]byte(good)); err != nil || u.String() != good {
		t.Errorf("%v, %v", u, err)
	}
	for _, bad := range []string{"", "-", good[1:], good + "0", good + good, good[:35] + "g", strings.ReplaceAll(good, "-", ""),
		strings.ToUpper(good), strings.Repeat("0", 40), strings.Repeat("-", 36)} {
		if err := u.UnmarshalText([]byte(bad)); err == nil || u.String() != good {
			t.Errorf("%q: %v, %v", bad, u, err)
		}
	}
}
