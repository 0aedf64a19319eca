// Package applied holds tests of what the compiler writes on a real API server:
// `kubectl apply` takes the files of `camfleet compile -o DIR` as they are.
package applied
