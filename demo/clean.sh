#!/bin/bash
# Takes the demo down: clean.sh DIR. Only what run.sh has made is removed.
set -euo pipefail

dir=${1:?usage: clean.sh DIR}
[ -e "$dir" ] || [ -L "$dir" ] || exit 0
# /tmp is everybody's: a directory of somebody else's with that name stays.
if [ -L "$dir" ] || [ "$(stat -c %u "$dir")" != 0 ] || [ ! -f "$dir/.snapmerge-demo" ]; then
	echo "demo: $dir was not made by this demo; not touched (set DEMO_DIR to use another)" >&2
	exit 1
fi
if mountpoint -q "$dir/mail"; then
	umount "$dir/mail" || {
		echo "demo: something still uses $dir/mail (a shell that stands in it?)" >&2
		exit 1
	}
fi
# mount -o loop made the loop device; it goes with umount. One is left if the
# demo was killed in between.
losetup -j "$dir/disk.img" | cut -d: -f1 | xargs -r -n1 losetup -d
rm -rf --one-file-system "$dir"
