import { describe, expect, test } from 'vitest';
import { nearestName } from '../src/nearest-name.ts';

const NAMES = ['image.upscale', 'image.resize', 'file.convert', 'file.inspect'];

describe('the nearest name', () => {
  test.each([
    ['image.upscal', 'image.upscale'],
    ['Image.Upscale', 'image.upscale'],
    ['image.upsacle', 'image.upscale'],
    ['file.insepct', 'file.inspect'],
    ['image_resize', 'image.resize'],
  ])('of %s is %s', (sent, nearest) => {
    expect(nearestName(sent, NAMES)).toBe(nearest);
  });

  test.each(['', 'x', 'page.extract', 'image'])('of %j is none', (sent) => {
    expect(nearestName(sent, NAMES)).toBeNull();
  });

  test('is the first of several that are equally near', () => {
    expect(nearestName('starter-c', ['starter-a', 'starter-b'])).toBe('starter-a');
  });
});
