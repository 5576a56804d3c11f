# Functions of run.sh: narration, checks, and what a mail client does to a Maildir.
# shellcheck shell=bash disable=SC2154

bold= plain=
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

step=0
step() { step=$((step + 1)); printf '\n%s%d. %s%s\n\n' "$bold" "$step" "$*" "$plain"; }
say() { printf '%s\n' "$@"; }

# run shows a command as the reader would type it, runs it, and keeps what it
# printed in $out and its exit status in $status.
run() {
	printf '\n  $ %s\n' "$*"
	status=0
	out=$("$@" 2>&1) || status=$?
	if [ "$out" ]; then sed 's/^/  | /' <<<"$out"; fi
	echo
}

# check prints a claim and makes sure of it: the rest is a command that must succeed.
check() {
	local claim=$1 args=${*:2}
	shift
	if "$@"; then
		printf '  [true]  %s\n' "$claim"
	else
		printf '  [FALSE] %s\n          (%s)\n\nsnapmerge demo: the last claim is not true; look around in %s\n' "$claim" "${args:0:300}" "$dir" >&2
		exit 1
	fi
}

printed() { grep -qF -e "$1" <<<"$out"; }
is() { [ "$1" = "$2" ]; }
empty() { [ -z "$1" ]; }

# --- Maildir ------------------------------------------------------------------

# mails STORE lists "key bytes-hash" of every mail in a cur/, dates "key mtime" to the
# nanosecond, inodes "inode size mtime key": what a move or a flag must not change.
mails() { find "$1" -path '*/cur/*' -type f -exec sha256sum {} + | sed -E 's|^([0-9a-f]+) .*/([^/,]+),.*|\2 \1|' | sort; }
dates() { find "$1" -path '*/cur/*' -type f -printf '%f %T@\n' | sed -E 's/,[^ ]*//' | sort; }
inodes() { find "$1" -path '*/cur/*' -type f -printf '%i %s %T@ %f\n' | sed 's/,.*//' | sort; }
# all lists everything, with all times: two equal lists mean that nothing at all was done.
all() { find "$1" -printf '%p %i %n %s %T@ %C@\n' | sort; }
count() { find "$1" -path "*/$2/*" -type f | wc -l; }

# at STORE KEY prints where a mail is, below the store: "cur/…" or ".work/cur/…".
at() { (cd "$1" && find . -type f -path "*/[cn][ue][rw]/$2,*" -printf '%P\n' | sort); }
key() { local f=${1##*/}; echo "${f%%,*}"; }
letters() { case $1 in *:2,*) echo "${1##*:2,}" ;; esac; }

# pick STORE FOLDER-DIRECTORY N prints the key of the Nth newest mail there that has been
# read and nothing else.
pick() { find "$1/$2/cur" -name '*:2,S' -printf '%f\n' | sort -rn | sed -n "$3s/,.*//p"; }

# The four things that clients do. mv keeps the inode and the received date, as Dovecot's rename does.
set_letters() { local f; f=$(at "$1" "$2"); mv -n "$1/$f" "$1/${f%:2,*}:2,$3"; }
move() { local f; f=$(at "$1" "$2"); mv -n "$1/$f" "$1/$3/cur/${f##*/}"; }
expunge() { rm "$1/$(at "$1" "$2")"; }
make_folder() { install -d -m 700 -o "$uid" -g "$uid" "$1/$2" "$1/$2/cur" "$1/$2/new" "$1/$2/tmp"; }
keywords() { printf '%s\n' "${@:2}" >"$1/dovecot-keywords"; chown "$uid:$uid" "$1/dovecot-keywords"; chmod 600 "$1/dovecot-keywords"; }

# subject STORE KEY prints a mail's subject, for the narration.
subject() { "$dir/mails" -subject "$1/$(at "$1" "$2")"; }
