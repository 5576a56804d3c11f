# What two mail clients do between two syncs. Part of run.sh.
# shellcheck shell=bash disable=SC2154,SC2034

unread=$(find "$online/cur" -name '*:2,' -printf '%f\n' | sort -rn | sed 's/,.*//')
read1=$(sed -n 1p <<<"$unread") read2=$(sed -n 2p <<<"$unread")
set_letters "$online" "$read1" S
set_letters "$online" "$read2" S
say "online  two mails of INBOX are read" \
	"          $(subject "$online" "$read1")" "          $(subject "$online" "$read2")"

make_folder "$online" .travel
say "online  a folder \"travel\" is made"

make_folder "$home" .projects
for n in 1 1 1; do move "$home" "$(pick "$home" .work $n)" .projects; done
say "home    three mails of \"work\" are filed in a new folder \"projects\""

both=$(pick "$home" . 1)
set_letters "$online" "$both" FS
move "$home" "$both" .work
say "BOTH    one mail is flagged online, and moved from INBOX to \"work\" at home" "          $(subject "$home" "$both")"

gone_online=$(pick "$online" . 3)
gone_online_file=$(at "$home" "$gone_online")
expunge "$online" "$gone_online"
say "online  one mail is deleted" "          $(subject "$home" "$gone_online")"

gone_home=$(pick "$home" . 4)
say "home    one mail is deleted" "          $(subject "$home" "$gone_home")"
expunge "$home" "$gone_home"

todo=$(pick "$home" . 4)
keywords "$home" '0 $Todo'
set_letters "$home" "$todo" Sa
say "home    one mail gets the keyword \$Todo" "          $(subject "$home" "$todo")"

unseen=$("$dir/mails" -seed 3 -n 3 -uid $uid -new INBOX "$online" | sed 's|.*/||; s|,.*||')
fresh=$(head -n 1 <<<"$unseen")
unseen=$(tail -n +2 <<<"$unseen")
f=$(at "$online" "$fresh")
mv -n "$online/$f" "$online/cur/${f##*/}:2," # a client has listed it
say "online  three mails arrive; a client sees one of them (new/ -> cur/)"
