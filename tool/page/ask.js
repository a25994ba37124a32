// Asks the two endpoints: with the tag of what was answered before, and telling what is wrong in their own words.

const PATHS = { releases: '/api/aslan/delivery/releases', artifact: '/api/directory/dc/artifact' };

/** An answer that is none: its status (0 where nothing answered), and a sentence for people. */
export class Refused extends Error {
  constructor(status, words, next) {
    super(words);
    Object.assign(this, { status, next });
  }
}

/** What one view asks. What was answered before is asked for with `If-None-Match`, and a 304 gives the same object. */
export class Asker {
  known = new Map();
  stop = new AbortController();
  /** Whether an answer was another than before, or the first of its kind. */
  changed = false;

  /** Asks `releases` or `artifact`: the JSON, and the query of what comes next. */
  async ask(endpoint, query) {
    const url = `${PATHS[endpoint]}?${new URLSearchParams(query)}`;
    const known = this.known.get(url);
    const headers = known ? { 'If-None-Match': known.etag } : {};
    let response, body;
    try {
      response = await fetch(url, { headers, cache: 'no-store', signal: this.stop.signal });
      body = await response.text();
    } catch (error) {
      if (this.stop.signal.aborted) throw error;
      throw new Refused(0, 'The server did not answer: it was not reached, or hung up.');
    }
    if (response.status === 304 && known) return known.answer;
    const json = parsed(body);
    const next = /^<\?(.*)>; rel="next"$/.exec(response.headers.get('Link') ?? '')?.[1];
    if (response.status !== 200 || json === undefined) {
      if (response.status === 404) this.known.delete(url);
      throw new Refused(response.status, words(response, json), next);
    }
    const etag = response.headers.get('ETag') ?? '';
    if (etag && etag === known?.etag) return known.answer;
    const answer = { json, next };
    this.changed = true;
    this.known.set(url, { answer, etag });
    return answer;
  }
}

/** Reads JSON. An integer of 64 bits that a double cannot hold is kept as its digits. */
function parsed(body) {
  const kept = (_, value, context) =>
    typeof value === 'number' && !Number.isSafeInteger(value) ? (context?.source ?? value) : value;
  try {
    return /\d{16}/.test(body) ? JSON.parse(body, kept) : JSON.parse(body);
  } catch {
    return undefined;
  }
}

function words(response, json) {
  const { status } = response;
  if (typeof json?.description === 'string' && json.type === 'error') return json.description;
  if (status === 401) return 'The API wants to know who asks (401): a token is missing, or is no longer valid.';
  if (status === 403) return 'The API refuses whoever asks (403): the right to invoke it is missing.';
  if (status === 429) {
    const wait = Number(response.headers.get('Retry-After'));
    return `Too many requests (429): ask again ${wait > 0 ? `in ${wait} s` : 'in a while'}.`;
  }
  const message = typeof json?.message === 'string' ? `: ${json.message}` : '';
  if (json !== undefined) return `The gateway answered ${status}${message}.`;
  return `The answer (${status}) is no JSON: something else than the API answers at this address.`;
}
