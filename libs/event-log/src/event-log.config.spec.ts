import { describe, expect, it } from 'vitest';
import { BelfryConfig, ConfigError } from '#config';
import { eventLogConfig } from './event-log.config.js';

describe('eventLogConfig', () => {
  it('takes the embedded log when no broker is named', () => {
    expect(BelfryConfig.load([eventLogConfig], {}).of(eventLogConfig)).toMatchObject({ kafkaBrokers: undefined, drainMs: 10_000 });
  });

  it('reads brokers separated by commas', () => {
    const config = BelfryConfig.load([eventLogConfig], { KAFKA_BROKERS: 'a.example:9092, 127.0.0.1:19092' });
    expect(config.of(eventLogConfig).kafkaBrokers).toEqual(['a.example:9092', '127.0.0.1:19092']);
  });

  it.each(['a.example', 'http://a.example:9092', 'a.example:port'])('refuses %s as a broker', (broker) => {
    expect(() => BelfryConfig.load([eventLogConfig], { KAFKA_BROKERS: broker })).toThrow(ConfigError);
  });

  it('asks for user name and password with a SASL mechanism', () => {
    expect(() => BelfryConfig.load([eventLogConfig], { KAFKA_SASL_MECHANISM: 'plain' })).toThrow(
      /KAFKA_SASL_USERNAME[^]*KAFKA_SASL_PASSWORD/,
    );
  });
});
