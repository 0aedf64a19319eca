import { get, here } from './dom.js';
import { TimeLine } from './fmp4.js';

// segments lists an hour playlist's files in order: [{map, uri, fresh}], each
// relative to the playlist; fresh says that its times are not those before it.
export function segments(playlist) {
  const list = [];
  let map = '', fresh = true;
  for (const raw of playlist.split('\n')) {
    const line = raw.trim();
    if (line.startsWith('#EXT-X-MAP:')) map = /URI="([^"]*)"/.exec(line)?.[1] ?? '';
    else if (line === '#EXT-X-DISCONTINUITY') fresh = true;
    else if (line && !line.startsWith('#')) {
      list.push({ map, uri: line, fresh });
      fresh = false;
    }
  }
  return list;
}

// saveHour puts a recorded hour together in the browser (initialization segment
// and media segments one after another are a fragmented MP4, ISO/IEC 14496-12)
// and saves it. A change of the camera's format begins a new file.
export async function saveHour(url, name, onProgress) {
  const list = segments(await (await get(url)).text());
  let parts = [], map = null, line = null, files = 0;
  const flush = () => {
    if (parts.length) save(new Blob(parts, { type: 'video/mp4' }), files++ ? `${name}-${files}.mp4` : `${name}.mp4`);
    parts = [];
  };
  for (const [i, s] of list.entries()) {
    if (s.map !== map) {
      flush();
      map = s.map;
      const init = await content(map, url);
      line = new TimeLine(init);
      parts.push(new Blob([init]));
    }
    const segment = await content(s.uri, url);
    line.add(segment, s.fresh);
    parts.push(new Blob([segment])); // a browser keeps blobs on disk, when there are many
    onProgress((i + 1) / list.length);
  }
  flush();
}

async function content(uri, base) {
  return (await get(new URL(uri, here(base)), 60_000)).arrayBuffer();
}

function save(content, name) {
  const a = document.createElement('a');
  a.href = URL.createObjectURL(content);
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 60_000);
}
