const STALLED_AFTER = 6000; // ms without progress
const FALL_BACK_AFTER = 3; // failures of low latency in a row
const RETRY_LOW_AFTER = 60_000; // ms
const WELL_AFTER = 5; // seconds played: what failed before counts no more

// Patience decides for one camera when its player has failed, how long to wait
// before the next, and whether low latency is given up for a while. It knows
// nothing of video: it is told the time of the picture, again and again.
export class Patience {
  // low: low latency is wanted; only: there is nothing but low latency.
  constructor({ low, only, now = Date.now }) {
    Object.assign(this, { low, only, now, failures: 0, lowFailures: 0, fellBack: 0 });
  }

  useLow() {
    if (this.only) return true;
    return this.low && (this.lowFailures < FALL_BACK_AFTER || this.now() - this.fellBack > RETRY_LOW_AFTER);
  }

  // opened: a new player begins.
  opened(isLow) {
    this.isLow = isLow;
    // One more try, not three: each takes seconds without a picture.
    if (isLow && this.lowFailures >= FALL_BACK_AFTER) this.lowFailures = FALL_BACK_AFTER - 1;
    this.time = null;
    this.played = 0;
    this.moved = this.now();
  }

  // at: the picture's time now, in seconds; excused is a player that stands
  // still because its viewer wants it to. It tells whether the player is stuck.
  at(time, excused) {
    const step = this.time === null ? 0 : time - this.time;
    if (step !== 0 || excused) this.moved = this.now();
    if (step > 0 && step < 2) this.played += step; // a jump to the live edge is not playing
    this.time = time;
    if (this.hasPlayedWell()) this.settled();
    return this.now() - this.moved > STALLED_AFTER;
  }

  settled() {
    this.failures = 0;
    if (this.isLow) this.lowFailures = 0;
  }

  hasPlayed() { return this.played > 0; }

  // hasPlayedWell: long enough that the stream's end is no failure of the player.
  hasPlayedWell() { return this.played > WELL_AFTER; }

  // failed tells how many milliseconds to wait before the next player.
  failed() {
    this.failures++;
    if (this.isLow && !this.only && ++this.lowFailures >= FALL_BACK_AFTER) this.fellBack = this.now();
    return Math.min(15_000, 500 * 2 ** Math.min(this.failures, 5));
  }
}
