package httpserver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// This file holds the reading side of a connection: one buffer, taken from a
// pool when bytes are expected and given back while the connection is idle.

const bufferSize = 4 << 10

var readBuffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// A connReader reads a connection through a buffer that grows to hold one line.
type connReader struct {
	conn    net.Conn
	timeout *time.Duration    // the handler's Timeout
	pooled  *[bufferSize]byte // what buf is, unless it has grown
	buf     []byte            // unread bytes are buf[r:w]
	r, w    int
	full    bool // the last read gave as much as it could: there may be more
	total   bool // the deadline that is set holds for all that is read
	waiter  waiter
}

func (c *connReader) buffered() []byte { return c.buf[c.r:c.w] }
func (c *connReader) consume(n int)    { c.r += n }

// release gives the buffer back if nothing unread is in it.
func (c *connReader) release() {
	if c.r < c.w {
		return
	}
	if c.pooled != nil {
		readBuffers.Put(c.pooled)
	}
	c.pooled, c.buf, c.r, c.w = nil, nil, 0, 0
}

// beginDeadline gives what is read next the handler's timeout, unless it is part
// of a total.
func (c *connReader) beginDeadline() {
	if *c.timeout > 0 && !c.total {
		c.conn.SetReadDeadline(time.Now().Add(*c.timeout))
	}
}

// fill reads more from the connection. It gives no error with bytes.
func (c *connReader) fill() error {
	switch {
	case c.buf == nil:
		if c.waiter.wait(c) {
			return c.filled(c.waiter.n, c.waiter.err)
		}
		c.takeBuffer()
	case c.r == c.w:
		c.r, c.w = 0, 0
	case c.w == len(c.buf) && c.r > 0:
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	case c.w == len(c.buf):
		c.grow()
	}
	return c.filled(c.conn.Read(c.buf[c.w:]))
}

func (c *connReader) takeBuffer() {
	c.pooled = readBuffers.Get().(*[bufferSize]byte)
	c.buf = c.pooled[:]
}

// filled takes account of what a read gave.
func (c *connReader) filled(n int, err error) error {
	if n > 0 {
		c.w += n
		c.full = c.w == len(c.buf)
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (c *connReader) grow() {
	larger := make([]byte, 2*len(c.buf))
	copy(larger, c.buf)
	c.buf = larger
	if c.pooled != nil {
		readBuffers.Put(c.pooled)
		c.pooled = nil
	}
}

// line gives the next line with its LF, without consuming it. It is valid until
// the next read. A line of more than limit bytes is errLineLimit.
func (c *connReader) line(limit int) ([]byte, error) {
	for scanned := 0; ; {
		unread := c.buffered()
		if i := bytes.IndexByte(unread[scanned:], '\n'); i >= 0 {
			if scanned+i >= limit {
				return nil, errLineLimit
			}
			return unread[:scanned+i+1], nil
		}
		if len(unread) >= limit {
			return nil, errLineLimit
		}
		scanned = len(unread)
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// headSize gives the size of the buffered lines up to and with the first empty
// one after the given number of bytes, 0 if that has not arrived.
func (c *connReader) headSize(from int) int {
	unread := c.buffered()
	for {
		i := bytes.IndexByte(unread[from:], '\n')
		if i < 0 {
			return 0
		}
		if from += i + 1; i == 0 || i == 1 && unread[from-2] == '\r' {
			return from
		}
	}
}

// headerLines reads header lines up to and with the empty one.
func (c *connReader) headerLines() (string, error) {
	var block []byte
	for fields := 0; ; fields++ {
		line, err := c.line(maxLine)
		switch {
		case err == errLineLimit:
			return "", errHeaderLine
		case err != nil:
			return "", err
		case len(trimEnd(line)) == 0:
			c.consume(len(line))
			return string(block), nil
		case fields == maxFields:
			return "", errHeaderCount
		case len(block)+len(line) > maxHead:
			return "", errHeaderSize
		}
		block = append(block, line...)
		c.consume(len(line))
	}
}

// blankLine gives the size of an empty line if one is next in the buffer.
func (c *connReader) blankLine() int {
	switch unread := c.buffered(); {
	case len(unread) > 0 && unread[0] == '\n':
		return 1
	case len(unread) > 1 && unread[0] == '\r' && unread[1] == '\n':
		return 2
	}
	return 0
}

// read reads for a body. Each call has the handler's timeout, unless total.
func (c *connReader) read(p []byte) (int, error) {
	if c.r == c.w {
		c.beginDeadline()
		if len(p) >= bufferSize {
			n, err := c.conn.Read(p)
			c.full = n == len(p)
			return n, err
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.buffered())
	c.r += n
	return n, nil
}

// halfCloseTime is how long a client that has ended its own side of the connection
// is expected to wait for the response.
const halfCloseTime = 5 * time.Second

// watch reads ahead in a goroutine, to see the client leave while nothing is read or
// written, and then calls left with errClientGone: at once when the connection broke,
// after halfCloseTime when the client just ended its side. What it reads stays in the
// buffer; it stops when that holds 64 KiB. The caller does not use c until it has
// called stop, which waits for the goroutine.
func (c *connReader) watch(left context.CancelCauseFunc) (stop func()) {
	stopping, stopped := make(chan struct{}), make(chan struct{})
	c.conn.SetReadDeadline(time.Time{})
	go func() {
		defer close(stopped)
		var err error
		for err == nil && len(c.buffered()) < maxLine {
			err = c.fill()
		}
		switch {
		case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err == io.EOF:
			timer := time.NewTimer(halfCloseTime)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-stopping:
				return
			}
		}
		left(errClientGone)
	}()
	return func() {
		close(stopping)
		if c.conn.SetReadDeadline(time.Unix(1, 0)) != nil {
			c.conn.Close() // nothing else ends a read
		}
		<-stopped
		c.conn.SetReadDeadline(time.Time{})
	}
}
