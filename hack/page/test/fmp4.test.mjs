import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TimeLine, boxes, timescales } from '../src/fmp4.js';

const u32 = (...n) => n.flatMap((v) => [v >>> 24, (v >>> 16) & 255, (v >>> 8) & 255, v & 255]);
const box = (type, ...content) => {
  const body = content.flat();
  return [...u32(8 + body.length), ...[...type].map((c) => c.charCodeAt(0)), ...body];
};
const buffer = (bytes) => new Uint8Array(bytes).buffer;
const track = (id, scale) => box('trak', box('tkhd', u32(0, 0, 0, id)), box('mdia', box('mdhd', u32(0, 0, 0, scale))));
const init = buffer(box('moov', track(1, 90000), track(2, 48000)));
const run = (id, time, durations) => box('traf', box('tfhd', u32(0, id)), box('tfdt', u32(0x01000000, Math.floor(time / 2 ** 32), time % 2 ** 32)),
  box('trun', u32(0x301, durations.length, 0), ...durations.map((d) => u32(d, 99))));
const segment = (...runs) => buffer([...box('moof', ...runs), ...box('mdat', u32(1, 2))]);

// times reads a segment's tfdts back: from the two runs' fixed places.
function times(buf) {
  const bytes = [...new Uint8Array(buf)].map((b) => String.fromCharCode(b)).join('');
  return [...bytes.matchAll(/tfdt/g)].map((m) => Number(new DataView(buf).getBigUint64(m.index + 8)));
}

test('an initialization segment tells the timescales', () => {
  assert.deepEqual([...timescales(init)], [[1, 90000], [2, 48000]]);
});

test('sessions follow each other from zero, with sound where it was beside the picture', () => {
  const line = new TimeLine(init), yesterday = 90000 * 50_000; // beyond 32 bits
  const first = segment(run(1, yesterday, [3600, 3600]), run(2, 48000 * 50_000 + 480, [1024]));
  const second = segment(run(1, yesterday + 7200, [3600]));
  const other = segment(run(1, 0, [3600]), run(2, 480, [1024]));
  line.add(first, true);
  line.add(second, false);
  line.add(other, true);
  assert.deepEqual([first, second, other].map(times), [[0, 480], [7200], [10800, 5760 + 480]]);
});

test('what is no MP4 is left as it is', () => {
  const line = new TimeLine(buffer([1, 2, 3]));
  for (const bytes of [[], [0, 0, 0, 0], u32(4, 5, 6), u32(99, 0x6d6f6f66), box('moof', box('traf', box('tfhd', [])))]) {
    const buf = buffer(bytes);
    line.add(buf, true);
    assert.deepEqual([...new Uint8Array(buf)], bytes);
    assert.ok(boxes(new DataView(buf)).length <= 1);
  }
});
