# Shows the result through a real Dovecot, where there is one. Part of run.sh.
# shellcheck shell=bash disable=SC2154

if ! command -v doveadm >/dev/null; then
	say "(Dovecot is not installed, so it is not asked.)"
	return
fi
step "What Dovecot says"
cat >"$dir/dovecot.conf" <<END
base_dir = $dir/dovecot
state_dir = $dir/dovecot
log_path = /dev/stderr
ssl = no
first_valid_uid = $uid
mail_home = $dir/dovecot
namespace inbox {
  inbox = yes
  separator = /
}
END
install -d -o $uid -g $uid "$dir/dovecot"
for s in "$online" "$home"; do
	# As the owner of the mail, without any Dovecot running.
	printf '\n  doveadm, %s: flags of the mail that was flagged online and moved at home\n' "${s#"$dir/mail/"}"
	shown=$(cd / && setpriv --reuid $uid --regid $uid --clear-groups env USER=chris HOME="$dir/dovecot" \
		doveadm -c "$dir/dovecot.conf" -o "mail_location=maildir:$s" -f tab fetch 'mailbox flags' mailbox work header message-id "$(
			sed -n '/^Message-ID: /{s///p;q}' "$s/$(at "$s" "$both")")")
	sed 's/^/  | /' <<<"$shown"
	check "Dovecot shows it in work, flagged and read" grep -qE '^work.*\\Flagged' <<<"$shown"
done
