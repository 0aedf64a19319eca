import videojs from 'video.js';
import { here } from './dom.js';
import { Patience } from './patience.js';

const MIME = 'application/vnd.apple.mpegurl';
const RENEW_AFTER = 300; // ms

// Players drift back after every stall and start further back than they need.
// An edge says how many seconds of picture are kept ready, at the least over a
// window of half seconds: as little as this network allows, which is learned
// from the stalls. Plain HLS gets a whole segment at a time, so its window is long.
const EDGES = {
  low: { least: 0.4, most: 2, step: 0.2, slack: 0.15, window: 2, rate: 1.1, jump: 3 },
  standard: { least: 1.5, most: 6, step: 1, slack: 0.5, window: 8, rate: 1.05, jump: 1.5 },
};
const CALM = 30_000; // without a stall for so long, a little less is tried

// LivePlayer plays one camera in a box, for ever: it starts again after errors,
// stalls and parameter changes, and falls back to plain HLS when low latency
// does not work here.
export class LivePlayer {
  constructor(box, { label, low, plain, latency, onMode }) {
    Object.assign(this, { box, label, low, plain, latency, onMode });
    this.patience = new Patience({ low: latency === 'low', only: !plain });
    this.player = null;
    this.timer = null;
  }

  start() {
    if (this.timer) return;
    this.timer = setInterval(() => this.watch(), 500);
    this.open();
  }

  stop() {
    clearInterval(this.timer);
    clearTimeout(this.retry);
    this.timer = this.retry = null;
    this.close();
  }

  open() {
    this.close();
    this.isLow = this.patience.useLow();
    this.onMode?.(this.isLow ? 'low' : 'standard');
    const video = document.createElement('video-js');
    video.className = 'vjs-fill';
    this.box.append(video);
    this.player = videojs(video, {
      autoplay: 'muted', muted: true, controls: true, playsinline: true, liveui: true, preload: 'auto',
      controlBar: { pictureInPictureToggle: true, playbackRateMenuButton: false },
      userActions: { hotkeys: true }, errorDisplay: false, loadingSpinner: true,
      html5: { vhs: { overrideNative: true }, nativeAudioTracks: false, nativeVideoTracks: false },
    });
    this.player.el().setAttribute('aria-label', this.label);
    this.player.on('error', () => this.failed());
    this.player.on('waiting', () => this.stalled());
    // A browser that saves power may refuse to play by itself: then the viewer starts it.
    this.refused = false;
    const player = this.player;
    player.on('autoplay-failure', () => player.play()?.catch((e) => { this.refused = e.name === 'NotAllowedError'; }));
    player.on('xhr-hooks-ready', () => player.tech(true)?.vhs?.xhr.onResponse((request, error, response) => this.answered(player, response)));
    player.src({ src: here(this.isLow ? this.low : this.plain), type: MIME });
    this.edge = this.edges().least;
    this.calmSince = Date.now();
    this.ready = [];
    this.patience.opened(this.isLow);
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
    const excused = p.paused() && (p.hasStarted() || this.refused);
    if (this.patience.at(p.currentTime(), excused)) { this.failed(); return; }
    if (excused) return;
    if (!this.isLow && this.patience.useLow()) { this.open(); return; }
    this.catchUp();
  }

  // answered sees the live view end: a camera that comes back with another
  // format, or a worker that was started again, has another playlist. A player
  // would ask for the old one until it stalls.
  answered(player, response) {
    if (player !== this.player || this.retry || !this.isLow || response?.statusCode !== 404 || !this.patience.hasPlayed()) return;
    if (this.patience.hasPlayedWell()) this.again(RENEW_AFTER);
    else this.failed();
  }

  // stalled is a picture that waits for its next part: keep more ready.
  stalled() {
    if (!this.player || this.player.currentTime() < 2) return;
    const { most, step } = this.edges();
    this.edge = Math.min(most, this.edge + step);
    this.calmSince = Date.now();
  }

  edges() { return EDGES[this.isLow ? 'low' : 'standard']; }

  catchUp() {
    const p = this.player;
    const { least, step, slack, window, rate, jump } = this.edges();
    if (Date.now() - this.calmSince > CALM) {
      this.edge = Math.max(least, this.edge - step / 2);
      this.calmSince = Date.now();
    }
    const end = p.buffered().length ? p.buffered().end(p.buffered().length - 1) : 0;
    this.ready = [...this.ready, end - p.currentTime()].slice(-window);
    if (this.ready.length < window) return;
    const ready = Math.min(...this.ready);
    if (ready > this.edge + jump) this.skip(ready - this.edge);
    else if (ready > this.edge + slack) p.playbackRate(rate);
    else if (ready < this.edge) p.playbackRate(1);
  }

  skip(seconds) {
    this.player.currentTime(this.player.currentTime() + seconds);
    this.ready = [];
  }

  failed() {
    if (!this.retry) this.again(this.patience.failed());
  }

  // again begins anew, in a while. A player must not end in its own callback.
  again(wait) {
    const old = this.player;
    this.player = null;
    setTimeout(() => old?.dispose());
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
    userActions: { hotkeys: true }, html5: { vhs: { overrideNative: true } }, sources: [{ src: here(src), type }],
  });
  player.el().setAttribute('aria-label', label);
  return player;
}
