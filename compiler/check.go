package compiler

// check looks at what only shows over the whole fleet.
func (c *compilation) check() {}
