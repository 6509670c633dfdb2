/** The HTTP server: listens before the database is ready, says so, and serves as soon as it is. */
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { systemRandom, workerExecutor } from '../../storage/index.ts';
import { formatListenAddress, isLoopback } from '../config/listen-address.ts';
import type { ListenAddress } from '../config/settings.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { Gate } from '../web/gate.ts';
import { PasswordChecker } from '../web/password-checker.ts';
import type { LoadedWebConfig, WebConfigFile } from '../web/web-config-file.ts';
import { sendError } from './envelope.ts';
import { answerTo, ClientGoneError } from './errors.ts';
import { addHaStatusRoute } from './ha-status.ts';
import { Intake } from './intake.ts';
import { addLabelRoutes } from './labels.ts';
import { Listener, type RequestTimeouts } from './listener.ts';
import { addMetadataRoute } from './metadata.ts';
import { notFoundText } from './not-found.ts';
import { addObjstoreStatusRoute } from './objstore-status.ts';
import { addOtlpRoutes } from './otlp.ts';
import { addReadRoutes } from './read.ts';
import { lingerBeforeClose } from './request-body.ts';
import { Service, type ServiceOptions } from './service.ts';
import { addStatusRoutes } from './status.ts';
import { addWriteRoutes } from './write.ts';

export interface StartServerOptions extends ServiceOptions {
  /** TLS, authentication, headers and rate limit, as they are now and as they change. */
  readonly webConfig: WebConfigFile;
  /** How long a client may take to send a request and its head; 30 s and 10 s unless told otherwise. */
  readonly timeouts?: RequestTimeouts;
}

export interface Server {
  /** Where it listens, in the order of the settings; port 0 replaced by the port that was taken. */
  readonly addresses: readonly ListenAddress[];
  /** Refuses new requests, waits for those that have begun (at most `drainMs`, 30 s if not given), and stops listening. */
  close(drainMs?: number): Promise<void>;
}

const DRAIN_MS = 30_000;
/** A label name may fill a header's worth of URL; the router's own limit of 100 would be a 404. */
const PATH_PARAMETER_MAX_CHARACTERS = 16 * 1024;

/**
 * Listens on every address of the settings and answers at once: 200 on /-/healthy, 503 with the reason on everything that
 * needs the database, until `options.database` resolves. Rejects if an address cannot be had; then it listens on none.
 */
export async function startServer(options: StartServerOptions): Promise<Server> {
  const service = new Service(options);
  exportFigures(options.metrics, service);
  exportExpiry(options.metrics, options.webConfig);
  const { webConfig, log } = options;
  const checker = new PasswordChecker(workerExecutor);
  const gate = new Gate({
    config: webConfig,
    checker,
    clock: options.clock,
    random: systemRandom,
    log,
    onRefused: (status) => service.httpMetrics.countUnrouted(status),
  });
  const handshakeFailures = options.metrics.counter({
    name: 'tls_handshake_failures_total',
    help: 'TLS connections that did not come to be: no common version, no valid client certificate.',
  });
  const app = createApp(service);
  await app.ready();
  const opening = await Promise.allSettled(
    options.settings.listenAddresses.map((address) =>
      Listener.open({
        address,
        clock: options.clock,
        tls: webConfig.current.tls,
        timeouts: options.timeouts,
        admit: (request, response, pass) => gate.admit(request, response, pass),
        onRequest: (request, response) => app.routing(request, response),
        onMalformed: (status) => service.httpMetrics.countUnrouted(status),
        onHandshakeFailure(reason) {
          handshakeFailures.add(1);
          log.debug('a TLS connection was refused', { reason });
        },
      }),
    ),
  );
  const listeners = opening.filter((result) => result.status === 'fulfilled').map((result) => result.value);
  const failed = opening.find((result) => result.status === 'rejected');
  const close = async (drainMs = DRAIN_MS): Promise<void> => {
    service.stop();
    await Promise.all(listeners.map((listener) => listener.close(drainMs)));
    await app.close();
    checker.close();
  };
  if (failed !== undefined) {
    await close(0);
    throw failed.reason;
  }
  const renewTls = ({ tls }: LoadedWebConfig): void => {
    if (tls !== undefined) for (const listener of listeners) listener.renewTls(tls);
  };
  webConfig.onChange(renewTls);
  renewTls(webConfig.current); // It may have changed while the addresses were taken.
  watchOpenListeners(
    options,
    listeners.map(({ address }) => address),
  );
  return { addresses: listeners.map(({ address }) => address), close };
}

function exportFigures(metrics: Metrics, service: Service): void {
  const inFlight = {
    name: 'http_request_in_flight_bytes',
    help: 'Bytes of request bodies that are being read or worked on.',
  };
  metrics.gaugeFrom(inFlight, () => service.bodies.inFlightBytes);
  metrics.gaugeFrom({ name: 'reads_running', help: 'Reads at work.' }, () => service.readerStats?.running);
  metrics.gaugeFrom(
    { name: 'reads_queued', help: 'Reads that wait for their turn.' },
    () => service.readerStats?.queued,
  );
  const restarts = {
    name: 'reader_restarts_total',
    help: 'Reader threads that ended by themselves and were replaced.',
  };
  metrics.counterFrom(restarts, () => service.readerStats?.restarts);
}

function exportExpiry(metrics: Metrics, webConfig: WebConfigFile): void {
  const expiry = {
    name: 'tls_certificate_expiry_timestamp_seconds',
    help: "When the first certificate of the server's chain expires.",
  };
  metrics.gaugeFrom(expiry, () => webConfig.current.tls && webConfig.current.tls.certificateExpiryMs / 1000);
}

function createApp(service: Service): FastifyInstance {
  const { routePrefix } = service.settings;
  const app = Fastify({
    logger: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: PATH_PARAMETER_MAX_CHARACTERS },
    frameworkErrors: (error, _request, reply) =>
      void sendError(reply as unknown as FastifyReply, answerTo(error), 'text'),
  });
  // Routes read their bodies themselves, bounded together; see RequestBodies.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('x-content-type-options', 'nosniff');
    if (service.isStopping) reply.header('connection', 'close');
    done();
  });
  service.httpMetrics.watch(app);
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, service));
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] as string;
    return reply
      .code(404)
      .type('text/plain; charset=utf-8')
      .send(`${notFoundText(path, routePrefix)}\n`);
  });
  app.register(
    (scope, _options, done) => {
      const intake = new Intake(service);
      addStatusRoutes(scope, service);
      addHaStatusRoute(scope, service);
      addObjstoreStatusRoute(scope, service);
      addWriteRoutes(scope, service, intake);
      addOtlpRoutes(scope, service, intake);
      addReadRoutes(scope, service);
      addLabelRoutes(scope, service);
      addMetadataRoute(scope, service);
      done();
    },
    { prefix: routePrefix },
  );
  return app;
}

function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply, service: Service): void {
  const { routeName, errorsAs = 'text' } = request.routeOptions.config;
  if (error instanceof ClientGoneError) {
    service.httpMetrics.countGone(routeName);
    reply.hijack();
    return;
  }
  const answer = answerTo(error);
  if (answer.isOurs) {
    const failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
    service.log.error('request failed', { route: routeName, error: failure });
  }
  if (answer.status === 413) lingerBeforeClose(request.raw.socket, service.clock);
  sendError(reply, answer, errorsAs);
}

/** Says loudly, and shows as a gauge, where others than this machine come in without a password or certificate. */
function watchOpenListeners(
  { webConfig, log, metrics }: StartServerOptions,
  addresses: readonly ListenAddress[],
): void {
  const reachable = addresses.filter((address) => !isLoopback(address));
  const openListeners = metrics.gauge({
    name: 'unauthenticated_listeners',
    help: 'Addresses beyond the loopback that are served without authentication.',
  });
  let wasOpen = false;
  const look = (): void => {
    const isOpen = !webConfig.isAuthenticating;
    openListeners.set(isOpen ? reachable.length : 0);
    if (isOpen && !wasOpen) for (const address of reachable) warnOfOpenListener(log, address);
    wasOpen = isOpen;
  };
  look();
  webConfig.onChange(look);
}

function warnOfOpenListener(log: Log, address: ListenAddress): void {
  log.warn('LISTENING BEYOND THIS MACHINE WITHOUT AUTHENTICATION: everyone who reaches it can write and read', {
    address: formatListenAddress(address),
  });
}
