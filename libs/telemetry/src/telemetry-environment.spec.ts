import { describe, expect, it } from 'vitest';
import { areTracesWanted, chooseMetricsExporters, defaultServiceName, isTelemetryWanted } from './telemetry-environment.js';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

describe('isTelemetryWanted', () => {
  it.each([
    {},
    { OTEL_EXPORTER_OTLP_ENDPOINT: '' },
    { OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' },
    { ...ENDPOINT, OTEL_SDK_DISABLED: 'true' },
  ])('is off with %j', (env) => {
    expect(isTelemetryWanted(env)).toBe(false);
  });

  it.each([ENDPOINT, { OTEL_TRACES_EXPORTER: 'console' }, { OTEL_METRICS_EXPORTER: 'prometheus' }])('is on with %j', (env) => {
    expect(isTelemetryWanted(env)).toBe(true);
  });
});

it('sends no spans when only metrics were asked for', () => {
  expect(areTracesWanted({ OTEL_METRICS_EXPORTER: 'prometheus' })).toBe(false);
  expect(areTracesWanted({ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' })).toBe(false);
  expect(areTracesWanted(ENDPOINT)).toBe(true);
});

it('serves metrics at /metrics as well when they go to a collector by default', () => {
  expect(chooseMetricsExporters(ENDPOINT)).toEqual(['otlp', 'prometheus']);
  expect(chooseMetricsExporters({ ...ENDPOINT, OTEL_METRICS_EXPORTER: 'otlp' })).toEqual(['otlp']);
  expect(chooseMetricsExporters({ ...ENDPOINT, OTEL_METRICS_EXPORTER: 'none' })).toEqual([]);
});

it('names the service after the app unless the environment does', () => {
  expect(defaultServiceName({}, '/srv/dist/apps/inbox-delivery/src/main.js')).toBe('belfry-inbox-delivery');
  expect(defaultServiceName({}, undefined)).toBe('belfry');
  expect(defaultServiceName({ OTEL_SERVICE_NAME: 'x' }, '/apps/gateway/main.js')).toBeUndefined();
  expect(defaultServiceName({ OTEL_RESOURCE_ATTRIBUTES: 'a=b,service.name=x' }, '/apps/gateway/main.js')).toBeUndefined();
});
