import 'video.js/dist/video-js.css';
import './page.css';
import { el, get } from './dom.js';
import { summary } from './state.js';
import { Tile } from './tile.js';

const FLEET_EVERY = 2000; // the page follows a commit
const STATE_EVERY = 3000;

// ?latency=low or standard plays every camera so; without it each camera's own choice holds.
const asked = new URLSearchParams(location.search).get('latency');
const latency = ['low', 'standard'].includes(asked) ? asked : undefined;

const main = document.getElementById('cameras');
const line = document.getElementById('summary');
const tiles = new Map(); // "site/camera" → Tile
const sections = new Map(); // site → {node, grid, title}

// A camera that nobody can see is not played: 200 tiles are not 200 players.
const seen = new IntersectionObserver((entries) => {
  for (const e of entries) tiles.get(e.target.dataset.camera)?.setVisible(e.isIntersecting);
}, { rootMargin: '100px' });

function showSummary() {
  const text = summary([...tiles.values()].map((t) => t.state));
  if (line.textContent !== text) line.textContent = text;
}

function section(site) {
  let s = sections.get(site.name);
  if (!s) {
    const id = `site-${site.name}`;
    const title = el('h2', { id });
    const grid = el('div', { class: 'grid' });
    s = { title, grid, node: el('section', { 'aria-labelledby': id }, title, grid) };
    sections.set(site.name, s);
    main.append(s.node);
  }
  s.title.textContent = site.title || site.name;
  return s;
}

// show makes the page equal to the fleet: what did not change goes on playing.
function show(fleet) {
  const heading = fleet.sites.length === 1 ? fleet.sites[0].title || fleet.sites[0].name : fleet.fleet;
  document.title = document.getElementById('title').textContent = heading || 'Cameras';
  const wanted = new Set();
  for (const site of fleet.sites) {
    const { grid } = section(site);
    for (const c of site.cameras) {
      const id = `${site.name}/${c.name}`;
      wanted.add(id);
      place(id, grid, {
        ...c, site: site.name, timeZone: site.timeZone, archive: `/archive/${site.name}/${c.name}`,
        label: `${c.name} at ${site.title || site.name}`,
      });
    }
  }
  for (const [id, tile] of tiles) {
    if (wanted.has(id)) continue;
    seen.unobserve(tile.node);
    tile.remove();
    tiles.delete(id);
  }
  for (const [name, s] of sections) {
    if (fleet.sites.some((site) => site.name === name)) continue;
    s.node.remove();
    sections.delete(name);
  }
  showSummary();
}

function place(id, grid, camera) {
  const tile = tiles.get(id);
  if (tile) { tile.update(camera); return; }
  const made = new Tile(camera, { latency, onState: showSummary });
  tiles.set(id, made);
  const after = [...grid.children].find((n) => n.dataset.camera > id);
  grid.insertBefore(made.node, after ?? null);
  seen.observe(made.node);
  made.refresh();
}

let shown = '';

async function follow() {
  try {
    const text = await (await get('/assets/fleet.json')).text();
    if (text !== shown) show(JSON.parse(text));
    shown = text;
    document.body.classList.remove('offline');
  } catch {
    document.body.classList.add('offline');
    line.textContent = 'No connection to the server; trying again…';
    shown = '';
  }
}

// repeat calls f now and again, never twice at the same time.
async function repeat(f, every) {
  for (;;) {
    await f();
    await new Promise((done) => { setTimeout(done, every); });
  }
}

repeat(follow, FLEET_EVERY);
repeat(() => Promise.all([...tiles.values()].map((t) => t.refresh())), STATE_EVERY);
