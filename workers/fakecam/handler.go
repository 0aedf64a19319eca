package fakecam

import (
	"strings"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
)

// handler is the Server as gortsplib calls it.
type handler Server

var (
	_ gortsplib.ServerHandlerOnConnOpen         = (*handler)(nil)
	_ gortsplib.ServerHandlerOnConnClose        = (*handler)(nil)
	_ gortsplib.ServerHandlerOnRequest          = (*handler)(nil)
	_ gortsplib.ServerHandlerOnDescribe         = (*handler)(nil)
	_ gortsplib.ServerHandlerOnSetup            = (*handler)(nil)
	_ gortsplib.ServerHandlerOnPlay             = (*handler)(nil)
	_ gortsplib.ServerHandlerOnPause            = (*handler)(nil)
	_ gortsplib.ServerHandlerOnSessionClose     = (*handler)(nil)
	_ gortsplib.ServerHandlerOnDecodeError      = (*handler)(nil)
	_ gortsplib.ServerHandlerOnStreamWriteError = (*handler)(nil)
)

// cameraPath is what a camera is known by: path and query of a request's URL,
// without what SETUP adds for a track.
func cameraPath(u *base.URL) string {
	path := u.Path
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	if i := strings.LastIndex(path, "/trackID="); i >= 0 {
		path = path[:i]
	}
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	return path
}

func (h *handler) server() *Server { return (*Server)(h) }

// OnConnOpen counts a connection.
func (h *handler) OnConnOpen(*gortsplib.ServerHandlerOnConnOpenCtx) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stats.Connections++
	h.stats.Open++
}

// OnConnClose forgets a connection.
func (h *handler) OnConnClose(ctx *gortsplib.ServerHandlerOnConnCloseCtx) {
	h.mu.Lock()
	h.stats.Open--
	cameras := make([]*camera, 0, len(h.cameras))
	for _, c := range h.cameras {
		cameras = append(cameras, c)
	}
	h.mu.Unlock()
	for _, c := range cameras {
		c.closed(ctx.Conn)
	}
}

// OnRequest counts a request, and lets it wait for ever when the camera hangs.
func (h *handler) OnRequest(conn *gortsplib.ServerConn, req *base.Request) {
	authorized := len(req.Header["Authorization"]) > 0
	h.mu.Lock()
	h.stats.request(string(req.Method), authorized)
	h.mu.Unlock()
	if req.URL == nil {
		return
	}
	if c := h.server().lookup(cameraPath(req.URL)); c != nil {
		c.request(conn, string(req.Method), authorized)
		c.hang()
	}
}

// find returns a request's camera, or the answer that refuses it.
func (h *handler) find(conn *gortsplib.ServerConn, req *base.Request) (*camera, *base.Response, error) {
	c := h.server().lookup(cameraPath(req.URL))
	if c == nil || c.getFaults().NotFound {
		return nil, &base.Response{StatusCode: base.StatusNotFound}, nil
	}
	if !c.authorized(conn, req) {
		return nil, &base.Response{StatusCode: base.StatusUnauthorized}, liberrors.ErrServerAuth{}
	}
	return c, nil, nil
}

// OnDescribe answers with the camera's SDP.
func (h *handler) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if c := h.server().lookup(cameraPath(ctx.Request.URL)); c != nil {
		// Before any question about passwords: that is the dangerous kind.
		if to := c.getFaults().Redirect; to != "" {
			return &base.Response{StatusCode: base.StatusFound, Header: base.Header{"Location": base.HeaderValue{to}}}, nil, nil
		}
	}
	c, refusal, err := h.find(ctx.Conn, ctx.Request)
	if c == nil {
		return refusal, nil, err
	}
	return h.stream(c)
}

// OnSetup answers for one track.
func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	c, refusal, err := h.find(ctx.Conn, ctx.Request)
	if c == nil {
		return refusal, nil, err
	}
	res, st, err := h.stream(c)
	if first, ok := ctx.Session.UserData().(*reader); ok && st != nil && first.stream != st {
		// The camera was disconnected between two SETUPs; gortsplib would panic.
		return &base.Response{StatusCode: base.StatusSessionNotFound}, nil, nil
	}
	if st != nil {
		ctx.Session.SetUserData(&reader{c, st})
	}
	return res, st, err
}

// reader is what a session reads.
type reader struct {
	*camera
	stream *gortsplib.ServerStream
}

func (h *handler) stream(c *camera) (*base.Response, *gortsplib.ServerStream, error) {
	st, err := c.open()
	if err != nil {
		h.Log.Error("a camera cannot be played", "path", c.path, "error", err)
		return &base.Response{StatusCode: base.StatusInternalServerError}, nil, err
	}
	return &base.Response{StatusCode: base.StatusOK}, st, nil
}

// OnPlay starts the camera.
func (h *handler) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	if c, ok := ctx.Session.UserData().(*reader); ok {
		c.play(ctx.Session)
	}
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnPause stops it for one reader.
func (h *handler) OnPause(ctx *gortsplib.ServerHandlerOnPauseCtx) (*base.Response, error) {
	if c, ok := ctx.Session.UserData().(*reader); ok {
		c.leave(ctx.Session)
	}
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnSessionClose stops it for one reader.
func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	if c, ok := ctx.Session.UserData().(*reader); ok {
		c.leave(ctx.Session)
	}
}

// OnDecodeError logs a reader's broken report.
func (h *handler) OnDecodeError(ctx *gortsplib.ServerHandlerOnDecodeErrorCtx) {
	h.Log.Debug("a reader sent a packet that cannot be read", "error", ctx.Error)
}

// OnStreamWriteError logs that a reader is too slow.
func (h *handler) OnStreamWriteError(ctx *gortsplib.ServerHandlerOnStreamWriteErrorCtx) {
	h.Log.Debug("a reader is behind; it loses packets", "error", ctx.Error)
}
