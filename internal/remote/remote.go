// Package remote is a store on another machine: [Dial] starts the agent there
// over ssh and returns a [Client], which is a host.Host; [Serve] is the agent. It
// does with a host.Local what the client asks for.
//
// Both sides write a fixed line, then a hello frame, then frames:
//
//	client                      agent
//	request [item...]     →
//	                      ←     [item or data...] end
//	stop                  →     (ends the operation that is under way)
//	more                  →     (a piece of the stream was read, see window)
//	beat                  ↔     (every 10 s, at any time)
//
// An item that is to place a mail has the mail's bytes behind it, in data frames.
// They go into a file without a name: only a whole mail gets one.
//
// One request is under way at a time. The verbs are a closed list: look, freeze,
// send, apply, prune. No string of the client becomes a path or goes to a shell:
// the store's paths are the agent's own.
//
// Each side takes the other for hostile: a frame has a limit for its type before it is read,
// lists come as one frame an element and are counted, JSON is decoded strictly, and
// every value is checked before it is used (ask.go what the agent is asked,
// answer.go what it says). Nobody waits for ever: see [Timing]. Who does not read
// makes the other side wait, not grow.
package remote

import "time"

// Protocol is the number of what is spoken. Any change to a message raises it:
// the two programs must agree, for fields that one does not know are refused.
const Protocol = 2

// magic is what both sides write first. Anything else there is a shell's
// greeting, or no agent.
const magic = "snapmerge agent protocol\n"

// Limits of one session. They bound memory, and are far above what a sync needs.
const (
	maxSteps     = 1000    // of one apply request; the client makes several of a larger batch
	maxStepBytes = 8 << 20 // of the steps of one request
	maxPlaces    = 64      // of them Places: each has a file open until it is done
	maxMail      = 4 << 30 // bytes of one mail that is placed
	maxNames     = 1000    // names of one request: of snapshots, of folders
	maxSnapshots = 10000
	maxNested    = 1500 // bytes of the paths of nested subvolumes; written as JSON, one can be eight
	maxFrozen    = 1000 // snapshots that there may be when another one is taken
	maxProblems  = 1000
	maxKeywords  = 256
	maxText      = 1000 // bytes of a text for people
	maxBeats     = 1000 // and other frames that do nothing, within Timing.Silence
	maxUnread    = 64 << 20
)

// Timing says how long each wait may be. A zero field stands for the default.
type Timing struct {
	Beat     time.Duration // 10 s: how often each side shows that it lives
	Silence  time.Duration // 60 s without a whole frame: the other side is gone
	Progress time.Duration // 30 min with nothing but beats: it lives, but does nothing
	Dial     time.Duration // 60 s from the start of ssh to the agent's hello
	Lock     time.Duration // 60 s: how long the agent waits for another session to end
	Grace    time.Duration // 10 s: for the end of an operation that was stopped, and of ssh
}

// DefaultTiming is the Timing of the program; tests shorten it.
var DefaultTiming = Timing{
	Beat: 10 * time.Second, Silence: time.Minute, Progress: 30 * time.Minute,
	Dial: time.Minute, Lock: time.Minute, Grace: 10 * time.Second,
}

func (t Timing) orDefault() Timing {
	for _, f := range []struct{ v, d *time.Duration }{
		{&t.Beat, &DefaultTiming.Beat}, {&t.Silence, &DefaultTiming.Silence},
		{&t.Progress, &DefaultTiming.Progress}, {&t.Dial, &DefaultTiming.Dial},
		{&t.Lock, &DefaultTiming.Lock}, {&t.Grace, &DefaultTiming.Grace},
	} {
		if *f.v == 0 {
			*f.v = *f.d
		}
	}
	return t
}
