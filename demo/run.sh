#!/bin/bash
# Two mailboxes and a day of changes on both sides, step by step: run.sh DIR. It makes a file system of its
# own in DIR and touches nothing else. Each "[true]" below was checked on disk;
# if one is not true, the demo ends with status 1.
set -euo pipefail
export LC_ALL=C.UTF-8

cd "$(dirname "$0")/.."
dir=$(realpath -m "${1:?usage: run.sh DIR}")
. demo/lib.sh
demo/clean.sh "$dir"

uid=5000 # of the mailbox's owner; no account is needed for it
conf=$dir/snapmerge.toml
online=$dir/mail/online/chris
home=$dir/mail/home/chris
snapmerge() { run ./snapmerge -c "$conf" "$@"; }

old_mails() { find "$online/.lists.linux-btrfs/cur" -type f ! -name '*:2,*F*' ! -newermt '6 months ago' | wc -l; }

. demo/prepare.sh

# ------------------------------------------------------------------------------
step "The first sync"
say "First: is everything there that a sync needs?"
snapmerge init
check "init says that the mailbox is ready" is "$status" 0

say "What would happen? (-n changes nothing)"
before=$(all "$online"; all "$home")
snapmerge sync -n
check "not one file or directory has changed" is "$(all "$online"; all "$home")" "$before"

say "Now in earnest."
mails "$online" >"$dir/online.before"
dates "$online" >"$dir/dates.before"
inodes "$home" >"$dir/home.before"
old=$(old_mails)
snapmerge sync
check "sync ends with status 0" is "$status" 0
mails "$home" >"$dir/home.after"
check "every mail of online is at home, byte for byte" empty "$(comm -23 "$dir/online.before" "$dir/home.after")"
check "with the date when it was received, to the nanosecond" empty "$(dates "$home" | comm -23 "$dir/dates.before" -)"
check "no mail is at home twice" empty "$(cut -d' ' -f1 "$dir/home.after" | uniq -d)"
inodes "$home" >"$dir/inodes.after"
check "the $(wc -l <"$dir/home.before") files that were at home are the same files: same inode, size, date" \
	empty "$(comm -23 "$dir/home.before" "$dir/inodes.after")"
check "online let go of $old mails of the list, older than 6 months and not flagged; home has them" \
	is "$(old_mails) $((old > 0))" "0 1"

# ------------------------------------------------------------------------------
step "A day passes: changes on both sides"
. demo/changes.sh

# ------------------------------------------------------------------------------
step "The second sync"
inodes "$home" >"$dir/home.before"
snapmerge sync -v
check "sync ends with status 0" is "$status" 0
say "" "THE case: flagged online, moved at home. Both sides have both:"
say "  online $(at "$online" "$both")" "  home   $(at "$home" "$both")"
for s in "$online" "$home"; do
	f=$(at "$s" "$both")
	check "it is in work, flagged (F) and read (S), in ${s#"$dir/mail/"}" is "${f%/*} $(letters "$f")" ".work/cur FS"
done
say "" "The rest:"
check "the two mails that were read online are read at home" \
	is "$(letters "$(at "$home" "$read1")") $(letters "$(at "$home" "$read2")")" "S S"
check "the three mails that were filed at home are in the new folder online" is "$(find "$online/.projects/cur" -type f | wc -l)" 3
check "the folder made online is at home" [ -d "$home/.travel/cur" ]
f=$(at "$online" "$todo")
check "the keyword \$Todo is online, under a letter of online's own (home's is a, which means \$Forwarded there)" \
	is "$(letters "$f") $(grep Todo "$online/dovecot-keywords")" "Sb 1 \$Todo"
check "the mail deleted at home is deleted online" empty "$(at "$online" "$gone_home")"
check "the mail deleted online is still at home: a person decides" [ -f "$home/$(at "$home" "$gone_online")" ]
check "the fresh mail that a client has seen (cur/) is at home" [ -f "$home/$(at "$home" "$fresh")" ]
check "the two that none has seen (new/) wait online" \
	is "$(for k in $unseen; do at "$online" "$k"; at "$home" "$k"; done | cut -d/ -f1)" "$(printf 'new\nnew')"
check "and the report says so" printed "2 wait in online's new/"
inodes "$home" >"$dir/inodes.after"
check "every file at home is the file it was: moved, renamed, never rewritten" empty "$(comm -23 "$dir/home.before" "$dir/inodes.after")"

# ------------------------------------------------------------------------------
step "What waits for a decision"
snapmerge status
snapmerge conflicts
check "the deletion is listed" printed deleted-online
id=$(grep -oE '\b[0-9a-f]{12}\b' <<<"$out" | head -n 1)
snapmerge conflicts show "$id"
say "Yes, it was meant to go: let online's deletion count at home, too."
snapmerge conflicts resolve "$id" --take online
check "the decision is recorded" is "$status" 0
check "nothing is deleted yet: the next sync does it" [ -f "$home/$(at "$home" "$gone_online")" ]

step "The third sync"
snapmerge sync
check "the mail is gone at home" empty "$(at "$home" "$gone_online")"
kept=$(find "$dir/mail/home/snapshots" -path "*/offline.*/$gone_online_file" | sort | tail -n 1)
check "and it can be brought back from a snapshot" [ -f "$kept" ]
say "          ($kept)"

step "The fourth sync: nothing to do"
before=$(all "$online"; all "$home")
snapmerge sync
check "it says so" printed "nothing to do"
check "no file and no directory was touched, not even a date" is "$(all "$online"; all "$home")" "$before"

step "The state directory is lost"
say "What it holds is a cache. The truth lies beside home's snapshots."
rm -r "$dir/state"
snapmerge sync
check "the next sync ends as if nothing had happened" printed "nothing to do"
check "no file and no directory was touched" is "$(all "$online"; all "$home")" "$before"

snapmerge log
. demo/dovecot.sh

step "Look around"
cat <<END
  the two mailboxes      $online
                         $home
  snapshots, reports     ls $dir/mail/home/snapshots
  configuration          cat $conf
  the program            ./snapmerge -c $conf status
  change something       mv a mail between folders, rename it to set a flag, delete one; then
                         ./snapmerge -c $conf sync -v
  take everything down   sudo make demo-clean$([ "$dir" = /tmp/snapmerge-demo ] || echo " DEMO_DIR=$dir")
END
