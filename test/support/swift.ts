/**
 * OpenStack Swift with its S3 API, from Debian's packages unpacked into a folder: a real store that checks signatures,
 * Content-MD5 and multipart uploads. All of its state lies in a temporary directory.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { freePort, Program } from './program.ts';
import { TemporaryDirectory } from './temporary-directory.ts';

const KINDS = ['account', 'container', 'object'] as const;

const RINGS = `
import sys
from swift.common.ring import RingBuilder
directory = sys.argv[1]
for pair in sys.argv[2:]:
    kind, port = pair.split(':')
    builder = RingBuilder(4, 1, 0)
    builder.add_dev({'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': int(port), 'device': 'd1', 'weight': 1,
                     'replication_ip': '127.0.0.1', 'replication_port': int(port)})
    builder.rebalance()
    builder.get_ring().save('%s/%s.ring.gz' % (directory, kind))
`;

const LAUNCH = `
import sys
from swift.common import utils, storage_policy
utils.set_swift_dir(sys.argv.pop(1))
storage_policy.reload_storage_policies()
from swift.common.wsgi import run_wsgi
kind = sys.argv.pop(1)
conf, options = utils.parse_options()
extra = {}
if kind == 'object':
    from swift.obj import server
    extra['global_conf_callback'] = server.global_conf_callback
sys.exit(run_wsgi(conf, kind + '-server', **extra, **options))
`;

export class SwiftServer implements AsyncDisposable {
  readonly accessKey = 'test:tester';
  readonly secretKey = 'testing';
  readonly port: number;
  readonly #temporary: TemporaryDirectory;
  readonly #programs: readonly Program[];

  private constructor(port: number, temporary: TemporaryDirectory, programs: readonly Program[]) {
    this.port = port;
    this.#temporary = temporary;
    this.#programs = programs;
  }

  /** `root` is where the packages were unpacked. Resolves when it answers. */
  static async start(root: string): Promise<SwiftServer> {
    const temporary = new TemporaryDirectory('swift');
    const [port, cachePort, ...kindPorts] = await Promise.all(Array.from({ length: 2 + KINDS.length }, freePort));
    const ports = KINDS.map((kind, i) => [kind, kindPorts[i] as number] as const);
    writeConfiguration(temporary.path, { port: port as number, cachePort: cachePort as number, ports });
    const env = {
      ...process.env,
      PYTHONPATH: join(root, 'usr/lib/python3/dist-packages'),
      LD_LIBRARY_PATH: ['x86_64-linux-gnu', 'aarch64-linux-gnu', '']
        .map((arch) => join(root, 'usr/lib', arch))
        .join(':'),
    };
    const python = join(root, 'usr/bin/python3.11');
    const etc = join(temporary.path, 'etc');
    const rings = new Program(python, ['-c', RINGS, etc, ...ports.map((pair) => pair.join(':'))], { env });
    const { code } = await rings.ended;
    if (code !== 0) throw new Error(`no rings: ${rings.output}`);
    const user = userInfo().username;
    const memcached = ['-l', '127.0.0.1', '-p', String(cachePort), '-u', user, '-m', '32'];
    const programs = [
      new Program(join(root, 'usr/bin/memcached'), memcached, { env }),
      ...[...KINDS, 'proxy'].map(
        (kind) => new Program(python, ['-c', LAUNCH, etc, kind, join(etc, `${kind}.conf`)], { env }),
      ),
    ];
    const server = new SwiftServer(port as number, temporary, programs);
    try {
      const proxy = programs.at(-1) as Program;
      await proxy.ready('swift to answer', () => fetch(`http://127.0.0.1:${port}/`).then(() => true));
      await server.makeBucket('first'); // Its parts are up, too.
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  async makeBucket(name: string): Promise<void> {
    const client = new S3Client({
      endpoint: `http://127.0.0.1:${this.port}`,
      region: 'us-east-1',
      forcePathStyle: true,
      maxAttempts: 10, // On a busy machine its parts are slow to answer each other, which it says by 503.
      credentials: { accessKeyId: this.accessKey, secretAccessKey: this.secretKey },
    });
    await client.send(new CreateBucketCommand({ Bucket: name }));
    client.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.kill()));
    this.#temporary[Symbol.dispose]();
  }
}

interface Ports {
  readonly port: number;
  readonly cachePort: number;
  readonly ports: readonly (readonly [kind: string, port: number])[];
}

function writeConfiguration(directory: string, { port, cachePort, ports }: Ports): void {
  const etc = join(directory, 'etc');
  for (const made of [etc, join(directory, 'srv/d1')]) mkdirSync(made, { recursive: true });
  const write = (name: string, sections: Sections): void => writeFileSync(join(etc, name), iniText(sections));
  const server = { bind_ip: '127.0.0.1', workers: 0, user: userInfo().username, swift_dir: etc, log_level: 'WARNING' };
  write('swift.conf', {
    'swift-hash': { swift_hash_path_prefix: 'a', swift_hash_path_suffix: 'b' },
    'storage-policy:0': { name: 'p0', default: 'yes' },
  });
  for (const [kind, kindPort] of ports) {
    write(`${kind}.conf`, {
      DEFAULT: { ...server, bind_port: kindPort, devices: join(directory, 'srv'), mount_check: false },
      'pipeline:main': { pipeline: `${kind}-server` },
      [`app:${kind}-server`]: { use: `egg:swift#${kind}`, fallocate_reserve: 0 },
    });
  }
  write('proxy.conf', {
    DEFAULT: { ...server, bind_port: port },
    'pipeline:main': {
      pipeline: 'catch_errors cache listing_formats s3api tempauth copy slo versioned_writes proxy-server',
    },
    'app:proxy-server': { use: 'egg:swift#proxy', account_autocreate: true },
    'filter:catch_errors': { use: 'egg:swift#catch_errors' },
    'filter:cache': { use: 'egg:swift#memcache', memcache_servers: `127.0.0.1:${cachePort}` },
    'filter:listing_formats': { use: 'egg:swift#listing_formats' },
    'filter:tempauth': { use: 'egg:swift#tempauth', user_test_tester: 'testing .admin' },
    'filter:s3api': { use: 'egg:swift#s3api', location: 'us-east-1', dns_compliant_bucket_names: true },
    'filter:copy': { use: 'egg:swift#copy' },
    'filter:slo': { use: 'egg:swift#slo', min_segment_size: 1 },
    'filter:versioned_writes': { use: 'egg:swift#versioned_writes', allow_versioned_writes: true },
  });
}

type Sections = Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>;

function iniText(sections: Sections): string {
  return Object.entries(sections)
    .map(
      ([name, values]) =>
        `[${name}]\n${Object.entries(values)
          .map((pair) => pair.join(' = '))
          .join('\n')}\n`,
    )
    .join('\n');
}
