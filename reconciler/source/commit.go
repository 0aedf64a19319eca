package source

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
)

// commit is a commit object, read strictly: what a signature covers and what is
// used must be the same, whoever reads it.
type commit struct {
	tree      plumbing.Hash
	time      time.Time // the committer's
	committer string    // with the address
	subject   string
	signature []byte // nil when there is none
	signed    []byte // what it is of: everything else
}

const (
	maxCommit  = 1 << 20
	maxSubject = 200
)

// parseCommit reads a commit object.
func parseCommit(raw []byte) (*commit, error) {
	head, message, ok := bytes.Cut(raw, []byte("\n\n"))
	if !ok {
		head = bytes.TrimSuffix(raw, []byte("\n")) // without a message
	}
	c := &commit{subject: subject(string(message))}
	if err := c.split(raw); err != nil {
		return nil, err
	}
	for i, line := range strings.Split(string(head), "\n") {
		name, value, _ := strings.Cut(line, " ")
		switch {
		case i == 0 != (name == "tree"):
			return nil, errors.New("it does not begin with its one tree")
		case name == "tree":
			if c.tree = plumbing.NewHash(value); c.tree.String() != value {
				return nil, errors.New("its tree is not a hash")
			}
		case name == "committer":
			if err := c.committed(value); err != nil {
				return nil, err
			}
		}
	}
	if c.committer == "" {
		return nil, errors.New("it has no committer")
	}
	return c, nil
}

// split takes the signature out of a commit, as git does to check it.
func (c *commit) split(raw []byte) error {
	const ours, other = "gpgsig ", "gpgsig-sha256 "
	inside := false
	for len(raw) > 0 && raw[0] != '\n' {
		_, rest, _ := bytes.Cut(raw, []byte("\n"))
		line := raw[:len(raw)-len(rest)]
		raw = rest
		switch {
		case bytes.HasPrefix(line, []byte(other)):
			return errors.New("it has a signature of a repository with SHA-256, which is not supported")
		case bytes.HasPrefix(line, []byte(ours)):
			if c.signature != nil {
				return errors.New("it has more than one signature")
			}
			inside = true
			c.signature = append([]byte{}, line[len(ours):]...)
		case inside && line[0] == ' ':
			c.signature = append(c.signature, line[1:]...)
		default:
			inside = false
			c.signed = append(c.signed, line...)
		}
	}
	c.signed = append(c.signed, raw...)
	return nil
}

// committed reads who committed, and when: NAME <ADDRESS> SECONDS ZONE.
func (c *commit) committed(value string) error {
	if c.committer != "" {
		return errors.New("it has more than one committer")
	}
	end := strings.LastIndexByte(value, '>')
	if end < 0 {
		return errors.New("its committer is not written as git writes one")
	}
	c.committer = value[:end+1]
	var seconds int64
	fields := strings.Fields(value[end+1:])
	err := errors.New("there is none")
	if len(fields) > 0 {
		seconds, err = strconv.ParseInt(fields[0], 10, 64)
	}
	c.time = time.Unix(seconds, 0).UTC()
	if err != nil || seconds < 0 || c.time.Year() > 9999 { // JSON knows no more
		return errors.New("its committer's time is not a time")
	}
	return nil
}

// subject is the first line of a message, fit for a terminal.
func subject(message string) string {
	line, _, _ := strings.Cut(message, "\n")
	line = printable(line)
	if runes := []rune(line); len(runes) > maxSubject {
		line = string(runes[:maxSubject-1]) + "…"
	}
	return strings.TrimSpace(line)
}

// printable makes a text fit for a terminal, and for JSON.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "\uFFFD"))
}
