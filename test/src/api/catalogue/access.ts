/** B48 to B51: who is let in. */
import { hashSync } from 'bcryptjs';
import { basic } from '../../../support/https.ts';
import { exchange, statusOf } from '../serve.ts';
import { goodContent, goodRequest, type Row, raw, WRITE_HEAD } from './row.ts';

const COST = 4;
const USERS = {
  alice: hashSync('open sesame', COST),
  'with:colon': hashSync('x', COST),
  // Of exporter-toolkit's tests, made by htpasswd.
  dave: '$2y$10$2UXri9cIDdgeKjBo4Rlpx.U3ZLDV8X1IxKmsfOvhcM5oXQt/mLmXq',
  long: hashSync('x'.repeat(72), COST),
  empty: hashSync('', COST),
  '': hashSync('nameless', COST),
  müller: hashSync('pässwörd', COST),
};

/** The --web.config.file of the locked server. */
export const WEB_CONFIG: string = `basic_auth_users:\n${Object.entries(USERS)
  .map(([user, hash]) => `  "${user}": ${hash}\n`)
  .join('')}`;

const authorization = (user: string, password: string): string => `Authorization: ${basic(user, password)}`;
const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');
const ALICE: string = authorization('alice', 'open sesame');

let addresses = 0;

function login(b: number, what: string, lines: readonly string[], status: number): Row {
  const head = lines.map((line) => `${line}\r\n`).join('');
  return {
    b,
    what,
    server: 'locked',
    // From an address of its own: who tries many passwords has to wait.
    send: async ({ api, tenant }) => {
      const start = `${WRITE_HEAD}X-Scope-OrgID: ${tenant}\r\n${head}Connection: close\r\n`;
      const parts = [Buffer.from(`${start}Content-Length: ${goodRequest.length}\r\n\r\n`, 'latin1'), goodRequest];
      const address = `127.0.1.${++addresses}`;
      const ask = (): Promise<string> => exchange(api.port, parts, () => false, address);
      const first = await ask();
      // Once more, when the answer is remembered.
      const second = await ask();
      if (statusOf(first) !== statusOf(second)) throw new Error(`${first} first, then ${second}`);
      return second;
    },
    status,
    ...(status === 204 ? { counts: { stored: 1, duplicate: 1 }, content: goodContent } : {}),
    ...(status === 401 ? { text: /^Unauthorized\n$/, header: ['www-authenticate', /^Basic$/] as const } : {}),
    ...(status === 431 ? { text: /./ } : {}),
  };
}

const logins: Row[] = [
  login(48, 'the right password', [ALICE], 204),
  login(48, 'a password that htpasswd hashed', [authorization('dave', 'dave123')], 204),
  login(48, 'an empty password that is right', [authorization('empty', '')], 204),
  login(48, 'no name, which is a name', [authorization('', 'nameless')], 204),
  login(48, 'letters beyond ASCII', [authorization('müller', 'pässwörd')], 204),
  login(48, 'the scheme in capitals', [`authorization: BASIC ${base64('alice:open sesame')}`], 204),
  login(48, 'nothing', [], 401),
  login(48, 'a wrong password', [authorization('alice', 'open sesam')], 401),
  login(48, 'a password and more', [authorization('alice', 'open sesame ')], 401),
  login(48, 'a wrong user', [authorization('bob', 'open sesame')], 401),
  login(48, 'the password that stands for nobody in Prometheus', [authorization('bob', 'fakepassword')], 401),
  login(48, "another user's password", [authorization('alice', 'dave123')], 401),
  login(48, 'a hash as the password', [authorization('alice', USERS.alice)], 401),
  login(48, 'Bearer', ['Authorization: Bearer open-sesame'], 401),
  login(48, 'no credentials', ['Authorization: Basic'], 401),
  login(48, 'an empty header', ['Authorization:'], 401),
  login(50, 'a password of 72 bytes', [authorization('long', 'x'.repeat(72))], 204),
  login(50, 'a name with a colon', [authorization('with:colon', 'x')], 401),
  login(50, 'a password that is right for 72 bytes and goes on', [authorization('long', 'x'.repeat(73))], 401),
  login(50, 'a long password', [authorization('alice', 'x'.repeat(10_000))], 401),
  login(50, 'a password of 1 MiB', [authorization('alice', 'x'.repeat(1024 * 1024))], 431),
  login(50, 'no colon', [`Authorization: Basic ${base64('alice')}`], 401),
  login(50, 'bad base64', ['Authorization: Basic YWxpY2U6b3BlbiBzZXNhbWU'], 401),
  login(
    50,
    'base64 of another alphabet',
    [`Authorization: Basic ${base64('alice:\xff\xff\xfe').replaceAll('/', '_')}`],
    401,
  ),
  login(50, 'no UTF-8', [`Authorization: Basic ${base64('m\xfcller:p')}`], 401),
  login(50, 'credentials twice', [ALICE, ALICE], 401),
  login(50, 'credentials twice, in other capitals', [ALICE, 'AUTHORIZATION: Basic x'], 401),
];

const administration: Row[] = [
  ...['/-/quit', '/-/reload'].flatMap((path): Row[] => [
    {
      b: 51,
      what: `GET ${path}`,
      send: async ({ api }) => {
        const response = await fetch(api.url + path);
        return { status: response.status, text: await response.text(), headers: response.headers };
      },
      status: 405,
      text: /^method GET is not allowed here/,
    },
    {
      b: 51,
      what: `POST ${path} while that is off`,
      send: async ({ api }) => {
        const response = await fetch(api.url + path, { method: 'POST' });
        return { status: response.status, text: await response.text(), headers: response.headers };
      },
      status: 403,
      text: /^Lifecycle API is not enabled\.\n$/,
    },
  ]),
  {
    b: 51,
    what: 'a write from a page of another site',
    send: raw((head) => {
      const lines = `Sec-Fetch-Site: cross-site\r\nConnection: close\r\nContent-Length: ${goodRequest.length}\r\n\r\n`;
      return [head + lines, goodRequest];
    }),
    status: 403,
    text: /./,
  },
  {
    b: 51,
    what: 'POST /-/quit from a page of another site where that is on',
    server: 'named',
    send: ({ api }) =>
      exchange(api.port, [
        'POST /-/quit HTTP/1.1\r\nHost: x\r\nConnection: close\r\nSec-Fetch-Site: cross-site\r\n\r\n',
      ]),
    status: 403,
    text: /./,
  },
];

export const ACCESS: readonly Row[] = [...logins, ...administration];
