import { describe, expect, it } from 'vitest';
import { isOriginAllowed, originFault } from './allowed-origins.js';

describe('originFault', () => {
  it('accepts what a browser sends as Origin', () => {
    for (const origin of [
      'https://app.example.com',
      'https://app.example.com:8443',
      'https://xn--bcher-kva.example',
      'http://localhost:5173',
    ]) {
      expect(originFault(origin, 'production')).toBeUndefined();
    }
    expect(originFault('http://192.168.0.10:3000', 'development')).toBeUndefined();
  });

  it('refuses everything else', () => {
    const refused = ['', '*', 'null', 'example.com', 'https://*.example.com', 'https://app.example.com/', 'https://app.example.com:443'];
    refused.push(
      'HTTPS://app.example.com',
      'https://App.example.com',
      'https://user@app.example.com',
      'ftp://app.example.com',
      'javascript:alert(1)',
    );
    refused.push('https://bücher.example', ' https://app.example.com', `https://${'a'.repeat(300)}.example`);
    expect(refused.filter((origin) => originFault(origin, 'development') === undefined)).toEqual([]);
  });

  it('asks for https in production', () => {
    expect(originFault('http://app.example.com', 'production')).toContain('https');
    expect(originFault('http://app.example.com', 'development')).toBeUndefined();
  });
});

describe('isOriginAllowed', () => {
  it('allows listed origins only', () => {
    const environment = { kind: 'production', allowedOrigins: ['https://app.example.com'] } as const;
    expect(isOriginAllowed(environment, 'https://app.example.com')).toBe(true);
    for (const origin of ['https://app.example.com.evil.test', 'http://app.example.com', 'http://localhost:3000', 'null', '']) {
      expect(isOriginAllowed(environment, origin)).toBe(false);
    }
  });

  it('allows pages of the own machine in development', () => {
    const environment = { kind: 'development', allowedOrigins: [] } as const;
    expect(isOriginAllowed(environment, 'http://localhost:3000')).toBe(true);
    expect(isOriginAllowed(environment, 'http://127.0.0.1')).toBe(true);
    expect(isOriginAllowed(environment, 'http://localhost.evil.test')).toBe(false);
  });
});
