/** Some hours of some days of the week, by the clock of a place: when nodes may be disturbed. */
export interface MaintenanceWindow {
  /** As the inventory has it. */
  readonly text: string;
  /** Days on which it opens, Sunday is 0. */
  readonly days: readonly number[];
  /** Minutes after midnight, by the clock there. */
  readonly opensAt: number;
  readonly closesAt: number;
  /** Days between the opening and the closing. */
  readonly closesDaysLater: number;
  /** An IANA name, as `Europe/Berlin`. */
  readonly zone: string;
}

/** When a window is open. */
export interface Opening {
  readonly from: Date;
  readonly until: Date;
  readonly zone: string;
}

const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const everyDay = [0, 1, 2, 3, 4, 5, 6];

const form =
  /^(?:(?<first>[a-z]+)(?:-(?<last>[a-z]+))?\s+)?(?<from>\d{1,2}:\d\d)\s*-\s*(?:(?<end>[a-z]+)\s+)?(?<to>\d{1,2}:\d\d)(?:\s+(?<zone>[a-z][\w+/-]*))?$/i;

/**
 * `Sat 02:00-05:00 Europe/Berlin`, `Mon-Fri 22:00-06:00` (until the next morning), `Fri 22:00-Sun 06:00 UTC`, `02:00-04:00`
 * (daily). UTC where no place is named. `undefined` for what is none.
 */
export function parseMaintenanceWindow(text: string): MaintenanceWindow | undefined {
  const { first, last, from, end, to, zone = 'UTC' } = form.exec(text.trim())?.groups ?? {};
  const opensAt = minutesOf(from);
  const closesAt = minutesOf(to);
  const days = daysOf(first, last);
  if (opensAt === undefined || opensAt === 24 * 60 || closesAt === undefined) return undefined;
  if (days === undefined || !isZone(zone)) return undefined;
  const overnight = closesAt <= opensAt ? 1 : 0;
  if (end === undefined)
    return { text: text.trim(), days, opensAt, closesAt, closesDaysLater: overnight, zone };
  const endDay = dayOf(end);
  const [day] = days;
  if (endDay === undefined || day === undefined || days.length !== 1) return undefined;
  const later = (endDay - day + 7) % 7;
  return {
    text: text.trim(),
    days,
    opensAt,
    closesAt,
    closesDaysLater: later === 0 && overnight === 1 ? 7 : later,
    zone,
  };
}

/** The opening that `now` lies in, or else the next one to come, of whichever window is first. */
export function openingAt(windows: readonly MaintenanceWindow[], now: Date): Opening | undefined {
  const coming = windows.flatMap((window) => openingsAround(window, now)).filter(({ until }) => now < until);
  return coming.toSorted((a, b) => a.from.getTime() - b.from.getTime())[0];
}

/** From a week before, for the longest window, to a week after. */
function openingsAround(window: MaintenanceWindow, now: Date): readonly Opening[] {
  const today = wallClock(now, window.zone);
  const openings: Opening[] = [];
  for (let offset = -7; offset <= 7; offset += 1) {
    const day = new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate() + offset));
    if (!window.days.includes(day.getUTCDay())) continue;
    openings.push({
      from: instantOf(day, window.opensAt, window.zone),
      until: instantOf(day, window.closesDaysLater * 24 * 60 + window.closesAt, window.zone),
      zone: window.zone,
    });
  }
  return openings;
}

/** What the clocks there show, as if it were UTC. */
function wallClock(instant: Date, zone: string): Date {
  const parts = new Intl.DateTimeFormat('en', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(instant);
  const of = (type: string): number => Number(parts.find((part) => part.type === type)?.value);
  return new Date(Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second')));
}

/**
 * When the clocks there show that time. In the hour that is left out in spring it is the hour after, in the hour that
 * comes twice in autumn its second coming.
 */
function instantOf(day: Date, minutes: number, zone: string): Date {
  const shown = day.getTime() + minutes * 60_000;
  const aheadAt = (instant: number): number => {
    const whole = Math.floor(instant / 1000) * 1000;
    return wallClock(new Date(whole), zone).getTime() - whole;
  };
  return new Date(shown - aheadAt(shown - aheadAt(shown)));
}

/** `Sat 2026-11-28 02:00 Europe/Berlin`. */
export function sayInstant(instant: Date, zone: string): string {
  const shown = wallClock(instant, zone);
  const day = dayNames[shown.getUTCDay()] ?? '';
  const date = shown.toISOString();
  return `${day.slice(0, 1).toUpperCase()}${day.slice(1)} ${date.slice(0, 10)} ${date.slice(11, 16)} ${zone}`;
}

function minutesOf(time: string | undefined): number | undefined {
  const [hours = Number.NaN, minutes = Number.NaN] = (time ?? '').split(':').map(Number);
  const all = hours * 60 + minutes;
  return minutes < 60 && all <= 24 * 60 ? all : undefined;
}

/** In English, short or in full. */
function dayOf(name: string): number | undefined {
  const full = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
  const lower = name.toLowerCase();
  const found = full.findIndex((day) => lower.length >= 3 && day.startsWith(lower));
  return found < 0 ? undefined : found;
}

function daysOf(first: string | undefined, last: string | undefined): readonly number[] | undefined {
  if (first === undefined) return everyDay;
  if (first.toLowerCase() === 'daily' && last === undefined) return everyDay;
  const from = dayOf(first);
  const to = last === undefined ? from : dayOf(last);
  if (from === undefined || to === undefined) return undefined;
  return everyDay.slice(0, ((to - from + 7) % 7) + 1).map((offset) => (from + offset) % 7);
}

function isZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
