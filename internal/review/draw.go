package review

import (
	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"

	"snapmerge/internal/report"
)

// maxCluster bounds the runes in one cell: one letter can have a thousand accents.
const maxCluster = 8

var (
	plain  = tcell.StyleDefault
	strong = tcell.StyleDefault.Bold(true)
	bar    = tcell.StyleDefault.Reverse(true)
)

// put writes text from a cell on, up to the column before end, and fills the rest
// with blanks. Whatever is not printable is escaped, here too: this is the only
// way to the screen.
func put(s tcell.Screen, x, y, end int, style tcell.Style, text string) {
	for rest, state := report.Clean(text), -1; rest != "" && x < end; {
		var cluster string
		var width int
		cluster, rest, width, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if width == 0 {
			continue // an accent without a letter
		}
		if x+width > end {
			break
		}
		runes := []rune(cluster)
		runes = runes[:min(len(runes), maxCluster)]
		s.SetContent(x, y, runes[0], runes[1:], style)
		x += width
	}
	for ; x < end; x++ {
		s.SetContent(x, y, ' ', nil, style)
	}
}

// wrap breaks lines at the width of the screen.
func wrap(lines []string, width int) (out []string) {
	for _, line := range lines {
		start, pos, cells := 0, 0, 0
		for rest, state := line, -1; rest != ""; {
			var cluster string
			var w int
			cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
			if cells+w > width && cells > 0 {
				out, start, cells = append(out, line[start:pos]), pos, 0
			}
			cells += w
			pos += len(cluster)
		}
		out = append(out, line[start:])
	}
	return out
}
