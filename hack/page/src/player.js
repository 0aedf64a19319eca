import videojs from 'video.js';

const MIME = 'application/vnd.apple.mpegurl';
const STALLED_AFTER = 6; // seconds without progress
const FALL_BACK_AFTER = 3; // failures of low latency in a row
const RETRY_LOW_AFTER = 60_000;

// Low latency drifts back after every stall; these bring it to the edge again.
const CATCH_UP = { from: 1.2, until: 0.7, rate: 1.08, jump: 4 };

// LivePlayer plays one camera in a box, for ever: it starts again after errors,
// stalls and parameter changes, and falls back to plain HLS when low latency
// does not work here.
export class LivePlayer {
  constructor(box, { label, low, plain, latency, onMode }) {
    Object.assign(this, { box, label, low, plain, latency, onMode });
    this.failures = 0;
    this.player = null;
    this.timer = null;
  }

  start() {
    if (this.timer) return;
    this.timer = setInterval(() => this.watch(), 1000);
    this.open();
  }

  stop() {
    clearInterval(this.timer);
    clearTimeout(this.retry);
    this.timer = this.retry = null;
    this.close();
  }

  useLow() {
    if (this.latency !== 'low') return false;
    return this.failures < FALL_BACK_AFTER || Date.now() - this.fellBack > RETRY_LOW_AFTER;
  }

  open() {
    this.close();
    this.isLow = this.useLow();
    this.onMode?.(this.isLow ? 'low' : 'standard');
    const video = document.createElement('video-js');
    video.className = 'vjs-fill';
    this.box.append(video);
    this.player = videojs(video, {
      autoplay: 'muted', muted: true, controls: true, playsinline: true, liveui: true, preload: 'auto',
      controlBar: { pictureInPictureToggle: true, playbackRateMenuButton: false },
      userActions: { hotkeys: true }, errorDisplay: false, loadingSpinner: true,
      html5: { vhs: { overrideNative: true }, nativeAudioTracks: false, nativeVideoTracks: false },
      sources: [{ src: this.isLow ? this.low : this.plain, type: MIME }],
    });
    this.player.el().setAttribute('aria-label', this.label);
    this.player.on('error', () => this.failed());
    this.lastTime = 0;
    this.lastMoved = Date.now();
  }

  close() {
    this.player?.dispose();
    this.player = null;
  }

  // watch sees what no event tells: a player that waits for something that
  // will not come.
  watch() {
    const p = this.player;
    if (!p || this.retry) return;
    if (p.paused() && p.hasStarted()) { this.lastMoved = Date.now(); return; } // the viewer's wish
    const t = p.currentTime();
    if (t !== this.lastTime) {
      this.lastTime = t;
      this.lastMoved = Date.now();
      if (t > 5) this.failures = this.isLow ? 0 : this.failures;
    } else if (Date.now() - this.lastMoved > STALLED_AFTER * 1000) {
      this.failed();
      return;
    }
    if (this.isLow) this.catchUp();
    else if (this.latency === 'low' && this.useLow()) { this.failures = 0; this.open(); }
  }

  catchUp() {
    const p = this.player;
    const end = p.buffered().length ? p.buffered().end(p.buffered().length - 1) : 0;
    const behind = end - p.currentTime();
    if (behind > CATCH_UP.jump) p.currentTime(end - CATCH_UP.until);
    else if (behind > CATCH_UP.from) p.playbackRate(CATCH_UP.rate);
    else if (behind < CATCH_UP.until) p.playbackRate(1);
  }

  failed() {
    if (this.retry) return;
    this.failures++;
    if (this.failures === FALL_BACK_AFTER) this.fellBack = Date.now();
    this.close();
    const wait = Math.min(15_000, 500 * 2 ** Math.min(this.failures, 5));
    this.retry = setTimeout(() => {
      this.retry = null;
      if (this.timer) this.open();
    }, wait);
  }
}

// playRecording plays a finished hour or day in a box; close it with dispose().
export function playRecording(box, src, label) {
  const video = document.createElement('video-js');
  video.className = 'vjs-fill';
  box.append(video);
  const type = src.endsWith('.mp4') ? 'video/mp4' : MIME;
  const player = videojs(video, {
    autoplay: true, controls: true, playsinline: true, playbackRates: [0.5, 1, 2, 4, 8],
    userActions: { hotkeys: true }, html5: { vhs: { overrideNative: true } }, sources: [{ src, type }],
  });
  player.el().setAttribute('aria-label', label);
  return player;
}
