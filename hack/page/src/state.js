// A camera's state, from what its worker wrote (status.json) and from how old
// the newest recorded picture is. The words are for people who watch cameras,
// not for people who run them.

export const STATES = {
  connecting: { word: 'Connecting', tone: 'wait' },
  live: { word: 'Live', tone: 'good' },
  stale: { word: 'No new pictures', tone: 'wait' },
  unauthorized: { word: 'Password refused', tone: 'bad' },
  notFound: { word: 'Not found on the camera', tone: 'bad' },
  unreachable: { word: 'Unreachable', tone: 'bad' },
  unsupported: { word: 'Video format not supported', tone: 'bad' },
  storageFull: { word: 'Storage full', tone: 'bad' },
  disabled: { word: 'Switched off', tone: 'off' },
  unknown: { word: 'Not known yet', tone: 'off' },
};

// newestPicture reads the end of a playlist's newest segment, in milliseconds
// since 1970, from PROGRAM-DATE-TIME and EXTINF (RFC 8216, 4.3.2). It is null
// when the playlist has none.
export function newestPicture(playlist) {
  let at = null;
  for (const line of playlist.split('\n')) {
    if (line.startsWith('#EXT-X-PROGRAM-DATE-TIME:')) {
      const t = Date.parse(line.slice(25).trim());
      if (!Number.isNaN(t)) at = t;
    } else if (line.startsWith('#EXTINF:') && at !== null) {
      at += parseFloat(line.slice(8)) * 1000 || 0;
    }
  }
  return at;
}

// judge gives the state to show. A worker that died cannot say so: when it says
// live and recorded nothing for a while, the pictures' age tells. A camera that
// has just come back has no new segment yet.
export function judge({ status, newest, now, camera }) {
  const said = STATES[status?.state] ? status.state : 'unknown';
  if (said !== 'live' || !camera.recording) return said;
  const patience = Math.max(10, 5 * (camera.segmentSeconds || 2)) * 1000;
  const since = Date.parse(status.since ?? '') || 0;
  return newest === null || now - Math.max(newest, since) <= patience ? 'live' : 'stale';
}

// summary is the line above the cameras.
export function summary(states) {
  const count = {};
  for (const s of states) count[s] = (count[s] || 0) + 1;
  const total = states.length;
  if (total === 0) return 'No cameras in this fleet yet.';
  const rest = Object.entries(count).filter(([s]) => s !== 'live')
    .map(([s, n]) => `${n} ${STATES[s].word.toLowerCase()}`).sort();
  return [`${count.live || 0} of ${total} ${total === 1 ? 'camera' : 'cameras'} live`, ...rest].join(' · ');
}
