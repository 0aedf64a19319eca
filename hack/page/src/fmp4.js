// What the page must know of fragmented MP4 (ISO/IEC 14496-12) to put recorded
// segments of several sessions into one file: each session's times begin
// anew, and a session that began yesterday is far from zero.

// boxes lists the boxes between two places: [{type, start, body, end}]. It
// stops at what is no box.
export function boxes(view, from = 0, to = view.byteLength) {
  const list = [];
  while (from + 8 <= to) {
    const length = view.getUint32(from);
    const end = length === 0 ? to : from + length;
    if (length === 1 || (length !== 0 && length < 8) || end > to) break; // no segment has a 64-bit box
    const type = String.fromCharCode(...[4, 5, 6, 7].map((i) => view.getUint8(from + i)));
    list.push({ type, start: from, body: from + 8, end });
    from = end;
  }
  return list;
}

function inside(view, box, ...path) {
  let found = [box];
  for (const type of path) {
    found = found.flatMap((b) => boxes(view, b.body, b.end).filter((c) => c.type === type));
  }
  return found;
}

// timescales reads an initialization segment: track ID → ticks per second.
export function timescales(buffer) {
  const view = new DataView(buffer), scales = new Map();
  for (const trak of inside(view, { body: 0, end: view.byteLength }, 'moov', 'trak')) {
    const [tkhd] = inside(view, trak, 'tkhd'), [mdhd] = inside(view, trak, 'mdia', 'mdhd');
    if (!tkhd || !mdhd) continue;
    const at = (box) => box.body + 4 + (view.getUint8(box.body) === 1 ? 16 : 8); // behind the two dates
    scales.set(view.getUint32(at(tkhd)), view.getUint32(at(mdhd)));
  }
  return scales;
}

// runs are a segment's tracks: [{track, place of tfdt, time, duration}].
function runs(view) {
  return inside(view, { body: 0, end: view.byteLength }, 'moof', 'traf').flatMap((traf) => {
    const [tfhd] = inside(view, traf, 'tfhd'), [tfdt] = inside(view, traf, 'tfdt');
    if (!tfhd || !tfdt) return [];
    const wide = view.getUint8(tfdt.body) === 1, place = tfdt.body + 4;
    const duration = inside(view, traf, 'trun').reduce((sum, trun) => sum + runDuration(view, trun), 0);
    const time = wide ? Number(view.getBigUint64(place)) : view.getUint32(place);
    return [{ track: view.getUint32(tfhd.body + 4), place, wide, time, duration }];
  });
}

// runDuration adds up a trun's sample durations; the recorder writes each.
function runDuration(view, trun) {
  const flags = view.getUint32(trun.body) & 0xffffff;
  if (!(flags & 0x100)) return 0;
  const width = 4 * [0x100, 0x200, 0x400, 0x800].filter((f) => flags & f).length;
  let at = trun.body + 8 + (flags & 1 ? 4 : 0) + (flags & 4 ? 4 : 0), sum = 0;
  for (; at + width <= trun.end; at += width) sum += view.getUint32(at);
  return sum;
}

// TimeLine moves segments' times, in place, so that they begin at zero and
// follow each other: what was not recorded takes no time, as in day files.
export class TimeLine {
  constructor(init) {
    this.scales = timescales(init);
    this.end = 0; // seconds
    this.shift = null;
  }

  add(segment, fresh) {
    const view = new DataView(segment);
    const list = runs(view).filter((r) => this.scales.get(r.track));
    if (list.length === 0) return;
    if (fresh || this.shift === null) this.shift = this.end - Math.min(...list.map((r) => r.time / this.scales.get(r.track)));
    for (const r of list) {
      const scale = this.scales.get(r.track), time = Math.max(0, r.time + Math.round(this.shift * scale));
      if (r.wide) view.setBigUint64(r.place, BigInt(time));
      else view.setUint32(r.place, time);
      this.end = Math.max(this.end, (time + r.duration) / scale);
    }
  }
}
