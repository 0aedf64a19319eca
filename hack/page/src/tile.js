import { el, get } from './dom.js';
import { LivePlayer } from './player.js';
import { openRecordings } from './recordings.js';
import { STATES, judge, newestPicture } from './state.js';
import { ago } from './time.js';

const HIDDEN_ROUNDS = 5;
const MODES = { low: 'Low latency', standard: 'Standard' };

// Tile is one camera: its picture, its name, its state, its recordings. It
// plays only while it can be seen.
export class Tile {
  constructor(camera, { latency, onState }) {
    this.camera = camera;
    this.onState = onState;
    this.state = 'unknown';
    this.round = 0;
    this.wish = latency; // of the address (?latency=…), else the camera's own
    this.build();
    this.setState('unknown', '');
  }

  build() {
    const { camera } = this;
    this.box = el('div', { class: 'picture' });
    this.cover = el('p', { class: 'cover' });
    this.word = el('span', { class: 'word' });
    this.chip = el('p', { class: 'chip' }, el('span', { class: 'dot', 'aria-hidden': 'true' }), this.word);
    this.detail = el('p', { class: 'note detail' });
    this.mode = el('button', { class: 'button', onclick: () => this.switchMode() });
    const id = `camera-${camera.site}-${camera.name}`;
    this.node = el('article', { class: 'tile', 'data-camera': `${camera.site}/${camera.name}`, 'aria-labelledby': id },
      el('div', { class: 'frame' }, this.box, this.cover),
      el('div', { class: 'bar' }, el('h3', { id }, camera.name), this.chip),
      this.description = el('p', { class: 'note' }),
      this.detail,
      el('div', { class: 'actions' }, this.mode,
        el('button', { class: 'button', 'aria-label': `Recordings of ${camera.label}`, onclick: () => openRecordings(this.camera) }, 'Recordings')));
    this.player = this.makePlayer();
    this.showMode(this.latency());
    this.describe();
  }

  describe() {
    this.description.textContent = this.camera.description ?? '';
    this.description.hidden = !this.camera.description;
  }

  latency() { return this.wish ?? this.camera.latency; }

  makePlayer() {
    const { camera } = this;
    return new LivePlayer(this.box, {
      label: `${camera.label}, live`, low: `/live/${camera.site}/${camera.name}/index.m3u8`,
      plain: camera.recording ? `${camera.archive}/live.m3u8` : null, latency: this.latency(),
      onMode: (mode) => this.showMode(mode),
    });
  }

  showMode(mode) {
    this.mode.textContent = MODES[mode];
    this.mode.setAttribute('aria-label', `${MODES[mode]} playback of ${this.camera.label}; press to switch`);
    this.mode.disabled = !this.camera.recording;
  }

  switchMode() {
    this.wish = this.latency() === 'low' ? 'standard' : 'low';
    this.replacePlayer();
  }

  replacePlayer() {
    this.player.stop();
    this.player = this.makePlayer();
    this.follow();
  }

  // update takes a changed camera of the fleet; the picture goes on unless how
  // it is played changed.
  update(camera) {
    const before = [this.latency(), this.camera.recording].join();
    this.camera = camera;
    this.describe();
    if ([this.latency(), camera.recording].join() !== before) this.replacePlayer();
  }

  setVisible(visible) {
    this.visible = visible;
    this.follow();
    if (visible) this.refresh();
  }

  // follow starts and stops the player with what can be seen and what is there.
  follow() {
    const playing = this.visible && (this.state === 'live' || this.state === 'storageFull');
    if (playing) this.player.start();
    else this.player.stop();
    this.cover.hidden = playing;
  }

  // refresh reads the camera's state; main calls it every few seconds. Of a
  // camera that cannot be seen only the summary tells, so that is read more rarely.
  async refresh() {
    if (!this.visible && this.round++ % HIDDEN_ROUNDS) return;
    const [status, newest] = await Promise.all([this.status(), this.newest()]);
    const now = Date.now();
    const state = judge({ status, newest, now, camera: this.camera });
    const since = Date.parse(status?.since ?? '');
    const parts = [status?.message];
    if (state !== 'live' && newest) parts.push(`last picture ${ago(now - newest)} ago`);
    else if (state !== 'live' && since) parts.push(`for ${ago(now - since)}`);
    if (state === 'live' && status?.width) parts.push(`${status.width} × ${status.height}, ${Math.round(status.fps)} fps, ${status.codec}`);
    this.setState(state, parts.filter(Boolean).join(' · '));
  }

  async status() {
    try { return await (await get(`${this.camera.archive}/status.json`)).json(); } catch { return null; }
  }

  async newest() {
    if (!this.camera.recording) return null;
    try { return newestPicture(await (await get(`${this.camera.archive}/live.m3u8`)).text()); } catch { return null; }
  }

  setState(state, detail) {
    this.detail.textContent = detail;
    if (state === this.state && this.word.textContent) return;
    this.state = state;
    this.word.textContent = STATES[state].word;
    this.chip.dataset.tone = STATES[state].tone;
    this.cover.textContent = STATES[state].word;
    this.follow();
    this.onState();
  }

  remove() {
    this.player.stop();
    this.node.remove();
  }
}
