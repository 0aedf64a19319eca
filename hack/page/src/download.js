import { get } from './dom.js';

// segments lists an hour playlist's files in order: [{map, uri}], each relative
// to the playlist.
export function segments(playlist) {
  const list = [];
  let map = '';
  for (const raw of playlist.split('\n')) {
    const line = raw.trim();
    if (line.startsWith('#EXT-X-MAP:')) map = /URI="([^"]*)"/.exec(line)?.[1] ?? '';
    else if (line && !line.startsWith('#')) list.push({ map, uri: line });
  }
  return list;
}

// saveHour puts a recorded hour together in the browser (initialization segment
// and media segments one after another are a fragmented MP4, ISO/IEC 14496-12)
// and saves it. A change of the camera's format begins a new file.
export async function saveHour(url, name, onProgress) {
  const list = segments(await (await get(url)).text());
  let parts = [], map = null, files = 0;
  const flush = () => {
    if (parts.length) save(new Blob(parts, { type: 'video/mp4' }), files++ ? `${name}-${files}.mp4` : `${name}.mp4`);
    parts = [];
  };
  for (const [i, s] of list.entries()) {
    if (s.map !== map) {
      flush();
      map = s.map;
      parts.push(await blob(map, url));
    }
    parts.push(await blob(s.uri, url));
    onProgress((i + 1) / list.length);
  }
  flush();
}

async function blob(uri, base) {
  return (await get(new URL(uri, new URL(base, location.href)), 60_000)).blob();
}

function save(content, name) {
  const a = document.createElement('a');
  a.href = URL.createObjectURL(content);
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 60_000);
}
