#!/bin/sh
# Installs what snapmerge's tests need on Debian: btrfs, Dovecot, sshd, strace and
# the rest of the list below. Only what is missing is installed, so a second
# run does nothing. Go itself is not installed here: go.mod says which one.
#
# No service is started, now or at the next boot: a machine that builds snapmerge need not
# become a mail server. The tests start Dovecot themselves, privately.
#
#   sudo scripts/install-deps.sh        install
#   scripts/install-deps.sh -n          say what is missing; exit 1 if anything is
set -eu

packages='
	btrfs-progs
	dovecot-core
	dovecot-fts-xapian
	dovecot-imapd
	dovecot-lmtpd
	dovecot-sieve
	e2fsprogs
	make
	mount
	notmuch
	openssh-client
	openssh-server
	sqlite3
	strace
	xfsprogs
'
# dovecot-fts-xapian, notmuch: search indexes, which a sync must not confuse.
# e2fsprogs: filefrag, chattr. mount: mount with loop devices, losetup.
# xfsprogs: a file system with reflinks that is not btrfs.

say() { echo "install-deps: $*" >&2; }
die() { say "$*"; exit 1; }

dry=
case "$#:${1-}" in
0:) ;;
1:-n) dry=1 ;;
*) say "usage: install-deps.sh [-n]"; exit 2 ;;
esac

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
	die "this is not Debian (no dpkg or apt-get); install these by hand:" $packages

# "dpkg -s" succeeds for a package that was removed but not purged, too.
installed() {
	test "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed
}

missing=
for p in $packages; do
	installed "$p" || missing="$missing $p"
done
if [ -z "$missing" ]; then
	say "nothing to do, all of these are here:" $packages
	exit 0
fi
say "missing:$missing"
[ -z "$dry" ] || exit 1
[ "$(id -u)" = 0 ] || die "only root can install packages; run: sudo scripts/install-deps.sh"

# Debian's maintainer scripts ask policy-rc.d before they start a service
# (invoke-rc.d(8)); 101 means "not allowed". One that the machine has of its own
# stays: somebody put it there for a reason. Ours must not outlive this script,
# or no upgrade would restart a service any more; should the script have been
# killed, the next run knows its file by the second line.
policy=/usr/sbin/policy-rc.d
mark='# snapmerge/scripts/install-deps.sh, only while it runs'
made=
cleanup() { [ -z "$made" ] || rm -f "$policy"; }
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if grep -qxF "$mark" "$policy" 2>/dev/null || { [ ! -e "$policy" ] && [ ! -L "$policy" ]; }; then
	made=1
	printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
	chmod 755 "$policy"
	say "no service will be started ($policy forbids it until this script ends)"
else
	say "$policy is here already and stays: it decides whether services are started"
fi

# policy-rc.d does not keep a service from being enabled for the next boot.
# Where Dovecot or sshd is new to the machine it is masked; the link is what
# "systemctl mask" makes, and works without a running systemd too.
mask() {
	for unit in "$@"; do
		link=/etc/systemd/system/$unit
		if [ ! -e "$link" ] && [ ! -L "$link" ]; then
			mkdir -p /etc/systemd/system
			ln -s /dev/null "$link"
			say "masked $unit (to run it as a service: systemctl unmask $unit)"
		fi
	done
}
case " $missing " in *" dovecot-core "*) mask dovecot.service dovecot.socket ;; esac
case " $missing " in *" openssh-server "*) mask ssh.service ssh.socket ;; esac

export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y --no-install-recommends $missing; }

# The package lists are fetched only if they do not know a package, or know a
# version that the mirror no longer has.
for p in $missing; do
	if ! apt-cache show "$p" >/dev/null 2>&1; then
		say "apt-get update ($p is unknown)"
		apt-get update
		break
	fi
done
say "apt-get install$missing"
if ! install; then
	say "apt-get update, and once more"
	apt-get update
	install || die "apt-get install:$missing: not installed, see above"
fi
for p in $missing; do
	installed "$p" || die "$p is not installed after all"
done
say "done"
