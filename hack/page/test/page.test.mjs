import assert from 'node:assert/strict';
import { test } from 'node:test';
import { segments } from '../src/download.js';
import { judge, newestPicture, summary } from '../src/state.js';
import { ago, dayFiles, duration, hoursByDay, size } from '../src/time.js';

const playlist = `#EXTM3U
#EXT-X-TARGETDURATION:2
#EXT-X-MAP:URI="2026-11-23/04/init-a.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-23T04:00:00.000Z
#EXTINF:2.000000,
2026-11-23/04/1.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="2026-11-23/04/init-b.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-23T04:00:10.000Z
#EXTINF:1.500000,
2026-11-23/04/2.m4s
`;

test('the newest picture is the end of the last segment', () => {
  assert.equal(newestPicture(playlist), Date.parse('2026-11-23T04:00:11.500Z'));
  assert.equal(newestPicture('#EXTM3U\n'), null);
  assert.equal(newestPicture('<html>502</html>'), null);
});

test('a state is what the worker says, unless the pictures are old', () => {
  const now = 1_000_000, camera = { recording: true, segmentSeconds: 2 };
  const said = (state, newest, c = camera) => judge({ status: state && { state }, newest, now, camera: c });
  assert.equal(said('live', now - 3000), 'live');
  assert.equal(said('live', now - 60_000), 'stale');
  assert.equal(said('live', now - 60_000, { recording: false }), 'live');
  const back = { state: 'live', since: new Date(now - 1000).toISOString() };
  assert.equal(judge({ status: back, newest: now - 60_000, now, camera }), 'live', 'it has just come back');
  assert.equal(said('unauthorized', now), 'unauthorized');
  assert.equal(said(null, now), 'unknown');
  assert.equal(said('something new', now), 'unknown');
});

test('the summary counts', () => {
  assert.equal(summary([]), 'No cameras in this fleet yet.');
  assert.equal(summary(['live']), '1 of 1 camera live');
  assert.equal(summary(['live', 'stale', 'live', 'unreachable']), '2 of 4 cameras live · 1 no new pictures · 1 unreachable');
});

test('hours are grouped by the day of the site', () => {
  const days = hoursByDay(['2026-11-22/14', '2026-11-22/15', '2026-11-23/03', 'nonsense'], 'Asia/Seoul');
  assert.deepEqual(days.map((d) => [d.date, d.hours.map((h) => h.label)]), [['2026-11-23', ['12:00', '00:00']], ['2026-11-22', ['23:00']]]);
});

test('an hour that comes twice in autumn is shown twice', () => {
  const [day] = hoursByDay(['2026-10-25/00', '2026-10-25/01'], 'Europe/Berlin');
  assert.deepEqual(day.hours.map((h) => h.label), ['02:00', '02:00']);
});

test('segments know their initialization segment', () => {
  assert.deepEqual(segments(playlist), [
    { map: '2026-11-23/04/init-a.mp4', uri: '2026-11-23/04/1.m4s', fresh: true },
    { map: '2026-11-23/04/init-b.mp4', uri: '2026-11-23/04/2.m4s', fresh: true },
  ]);
  assert.deepEqual(segments('#EXT-X-MAP:URI="i"\na\nb\n#EXT-X-DISCONTINUITY\nc\n').map((s) => s.fresh), [true, false, true]);
});

test('a day in several files is listed file by file', () => {
  const list = dayFiles([{ date: '2026-11-22', bytes: 5, seconds: 7 }, { date: '2026-11-23', bytes: 9, files: ['2026-11-23.mp4', '2026-11-23-2.mp4'] }]);
  assert.deepEqual(list.map((f) => [f.name, f.word, f.bytes]), [
    ['2026-11-23.mp4', '2026-11-23 (1 of 2)', 9], ['2026-11-23-2.mp4', '2026-11-23 (2 of 2)', undefined], ['2026-11-22.mp4', '2026-11-22', 5]]);
});

test('sizes and times are for people', () => {
  assert.equal(ago(61_000), '1 min');
  assert.equal(size(1_530_000), '1.5 MB');
  assert.equal(duration(3725), '1 h 2 min');
});
