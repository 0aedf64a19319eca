package schema

import "embed"

// FS holds the CUE schema's files.
//
//go:embed *.cue
var FS embed.FS

// ImportPath is what users' CUE files import.
const ImportPath = "camfleet.dev/schema"

// LanguageVersion is the CUE language that the schema is written in.
const LanguageVersion = "v0.17.0"
