package merge

import "testing"

func TestRetention(t *testing.T) {
	p := families()
	p.Rules[1].Keep, p.Rules[1].KeepFrom = &Keep{Unit: KeepMonths, N: 4}, []string{"torvalds@*"}
	for folder, want := range map[string]string{
		"lists":         `rule 2 "lists": keep 4 months, flagged mail stays, mail from ["torvalds@*"] stays, archive online %Y-%m, archive offline a/%Y`,
		"lists/2015-11": `rule 2 "lists" by "lists": keep 4 months, flagged mail stays, mail from ["torvalds@*"] stays, archive online %Y-%m, archive offline a/%Y`,
		"lists/2014/x":  `rule 1 "lists/2014/x": not synced`,
		"INBOX":         `rule 3 "INBOX": keep all, archive offline %Y`,
		"work":          `rule 5 "**": keep none, flagged mail stays`,
	} {
		if got := p.Retention(folder).String(); got != want {
			t.Errorf("%s: %s", folder, got)
		}
	}
	p.Rules = p.Rules[:4]
	if r := p.Retention("work"); r.Rule != -1 || r.String() != "no rule: keep all" {
		t.Errorf("%+v", r)
	}
}
