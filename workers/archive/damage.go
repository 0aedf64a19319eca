package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// damageRetry is how long an hour that cannot be put in order, or dropped,
	// is left alone before it is tried again.
	damageRetry = time.Hour
	// dropTries is how often an hour is tried to be dropped, before those after
	// it go instead: an error may pass, and recordings go the oldest first.
	dropTries = 3
	// damageSaid is how many damages are named; of the rest there is the number.
	damageSaid = 3
)

// damage is what is wrong with an hour that is over, and stays so: nothing in
// an old hour may keep a camera from recording.
type damage struct {
	err   error // nil: nothing is
	tries int
	again time.Duration // the uptime at which it is tried again
}

// waits tells whether it is too early to try again.
func (d damage) waits(up time.Duration) bool { return d.err != nil && up < d.again }

// leave says that an hour cannot be put in order; it stays as it is.
func (st *store) leave(h *hour, err error) {
	if h.order.err == nil || h.order.err.Error() != err.Error() {
		st.log.Error("an hour cannot be put in order: it is left as it is, and recording goes on", "hour", hourKey(h.at), "error", err)
	}
	h.order = damage{err: err, again: st.uptime() + damageRetry}
	st.sayDamage()
}

// heal takes back what leave has said.
func (st *store) heal(h *hour) {
	if h.order.err != nil {
		st.log.Info("the hour is in order again", "hour", hourKey(h.at))
		h.order = damage{}
		st.sayDamage()
	}
}

// stick tells whether what comes after an hour is to be dropped instead of it.
func (st *store) stick(h *hour, err error) bool {
	if isFull(err) {
		return false
	}
	if h.drop.tries++; h.drop.tries < dropTries && !refused(err) {
		return false
	}
	if h.drop.err == nil {
		st.log.Error("an hour cannot be dropped: it stays, and what was recorded after it goes", "hour", hourKey(h.at), "error", err)
	}
	h.drop.err, h.drop.again = err, st.uptime()+damageRetry
	st.sayDamage()
	return true
}

// oldest is the oldest hour that can be dropped, as far as is known; nil is none.
func (st *store) oldest() *hour {
	up := st.uptime()
	for _, h := range st.hours {
		if !h.drop.waits(up) {
			return h
		}
	}
	return nil
}

// odd notes what is wrong beside the hours, until the next start.
func (st *store) odd(what string, err error) {
	st.log.Error(what+": recording goes on", "error", err)
	st.oddities = append(st.oddities, fmt.Sprintf("%s: %v", what, err))
}

// sayDamage tells the caller what is damaged, when that has changed.
func (st *store) sayDamage() {
	all := append([]string(nil), st.oddities...)
	if st.liveBad != nil {
		all = append(all, fmt.Sprintf("the live playlist cannot be written: %v", st.liveBad))
	}
	for _, h := range st.hours {
		if err := errors.Join(h.order.err, h.drop.err); err != nil {
			all = append(all, fmt.Sprintf("hour %s: %s", hourKey(h.at), strings.ReplaceAll(err.Error(), "\n", "; ")))
		}
	}
	text := ""
	if n := min(len(all), damageSaid); n > 0 {
		text = "parts of the archive are damaged and left as they are: " + strings.Join(all[:n], "; ")
		if len(all) > n {
			text += fmt.Sprintf("; and %d more", len(all)-n)
		}
	}
	if text != st.saidDamage {
		st.saidDamage = text
		st.damaged(text)
	}
}

// refused tells whether an error will be the same at the next try: somebody has
// to change something on the disk first.
func refused(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrExist) ||
		errors.Is(err, unix.EISDIR) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}
