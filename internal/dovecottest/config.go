package dovecottest

import (
	"strconv"
	"strings"
)

// Options of a server. Unset, everything is Dovecot's default.
type Options struct {
	// Mail is the Maildir, absolute, with options if there are any:
	// "/srv/%u:LAYOUT=fs". %u is the name that a client logs in with.
	Mail string
	// Host is the host's name in the files that this Dovecot makes; two servers
	// on one machine need different ones.
	Host string
	// Sieve is the script that LMTP deliveries run through.
	Sieve string
	// More is further configuration, as text.
	More string
}

// LazyExpunge is More for a server that moves expunged mail to a folder.
func LazyExpunge(folder string) string {
	return "mail_plugins = $mail_plugins lazy_expunge\nplugin {\n  lazy_expunge = " + folder + "\n}\n"
}

// config is for Dovecot 2.3. The lock timeout and everything about maildir are
// Dovecot's defaults. Of the environment the master passes on only what
// import_environment names (hostpid.c reads DOVECOT_HOSTNAME).
const config = `
base_dir = @DIR@/run
state_dir = @DIR@/state
log_path = @DIR@/log
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
first_valid_uid = @UID@
mail_uid = @UID@
mail_gid = @UID@
mail_location = maildir:@MAIL@
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
postmaster_address = postmaster@localhost
lda_mailbox_autocreate = yes
mail_max_userip_connections = 100
@IMPORT@
@MORE@
protocol lmtp {
  mail_plugins = $mail_plugins sieve
}
plugin {
  sieve = file:@DIR@/home/script.sieve
}
namespace inbox {
  inbox = yes
  separator = /
}
service imap-login {
  service_count = 0
  chroot =
  inet_listener imap {
    address = 127.0.0.1
    port = @IMAP@
  }
  inet_listener imaps {
    port = 0
  }
}
service imap {
  service_count = 100
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = @LMTP@
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
passdb {
  driver = static
  args = password=x
}
userdb {
  driver = static
  args = uid=@UID@ gid=@UID@ home=@DIR@/home allow_all_users=yes
}
`

func (o Options) config(dir string, imap, lmtp int) string {
	host := ""
	if o.Host != "" {
		host = "import_environment = $import_environment DOVECOT_HOSTNAME=" + o.Host
	}
	return strings.NewReplacer("@DIR@", dir, "@MAIL@", o.Mail, "@UID@", strconv.Itoa(UID), "@IMAP@", strconv.Itoa(imap),
		"@LMTP@", strconv.Itoa(lmtp), "@IMPORT@", host, "@MORE@", o.More).Replace(config)
}
