package main

import (
	"time"

	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/report"
)

// showRules is "status --rules".
func (a *app) showRules(cfg *config.Config, list []config.Mailbox) error {
	var all []report.Rules
	status := 0
	for _, mb := range list {
		r := a.rules(mb, cfg.StateDir)
		if r.Err != nil {
			a.complain("mailbox "+mb.Name+": ", r.Err)
			status = 1
		}
		all = append(all, r)
		a.show(report.RulesText(r, a.style))
	}
	if a.json {
		a.print(report.RulesJSON(all))
	}
	if status != 0 {
		return silent(status)
	}
	return nil
}

// rules looks at what home knows of a mailbox; online is not asked.
func (a *app) rules(mb config.Mailbox, stateDir string) report.Rules {
	r := report.Rules{Mailbox: mb.Name, Now: time.Now()}
	h, err := a.openHistory(mb)
	if err != nil {
		r.Err = err
		return r
	}
	defer h.close()
	if r.Last = h.newest; r.Last == nil {
		return r
	}
	r.Forecast, r.Err = engine.NewForecast(mb, stateDir, r.Last, r.Now)
	r.Unknown = r.Err != nil
	return r
}
