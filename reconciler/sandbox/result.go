package sandbox

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"camfleet.dev/compiler/object"
)

// sendResult writes a result: all but the objects' bodies as JSON, then the
// bodies as they are, each with its length before it. Bodies are JSON already,
// and nearly all there is: reading them once more on either side would cost
// 0.25 s of a fleet of 1,000 cameras.
func sendResult(w io.Writer, res *object.Result) error {
	head := *res
	head.Objects = slices.Clone(res.Objects)
	for i := range head.Objects {
		head.Objects[i].Body = nil
	}
	raw, err := json.Marshal(&head)
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	out := bufio.NewWriterSize(w, 1<<20)
	put := func(b []byte) {
		_, _ = out.Write(binary.AppendUvarint(nil, uint64(len(b)))) // Flush tells of errors
		_, _ = out.Write(b)
	}
	put(raw)
	for i := range res.Objects {
		put(res.Objects[i].Body)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("sending the result: %w", err)
	}
	return nil
}

var errCut = errors.New("the compiler's result is cut off")

// receiveResult reads what sendResult wrote. Bodies are parts of b.
func receiveResult(b []byte) (*object.Result, error) {
	next := func() ([]byte, error) {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return nil, errCut
		}
		part := b[size : size+int(n) : size+int(n)]
		b = b[size+int(n):]
		return part, nil
	}
	raw, err := next()
	if err != nil {
		return nil, err
	}
	res := &object.Result{}
	if err := json.Unmarshal(raw, res); err != nil {
		return nil, fmt.Errorf("reading the compiler's result: %w", err)
	}
	for i := range res.Objects {
		if res.Objects[i].Body, err = next(); err != nil {
			return nil, err
		}
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("the compiler's result has %d bytes too many", len(b))
	}
	return res, nil
}
