// Inputs of the tests: drawings, and files made from them.

import { readFileSync } from 'node:fs';
import { crc32, deflateSync } from 'node:zlib';

export const SEVEN = { strokes: [[[10, 10], [40, 10], [22, 60]]] };

/** `7/1`, a digit, a mark and a digit. */
export const SEVEN_SLASH_ONE = {
  strokes: [...SEVEN.strokes, [[80, 5], [60, 65]], [[100, 10], [100, 60]]],
};

/** The gray pixels of a drawing, dark on white, whose coordinates are pixels. */
export function draw({ strokes }, width, height) {
  const data = new Uint8Array(width * height).fill(255);
  for (const points of strokes) {
    points.slice(1).forEach(([x1, y1], index) => {
      const [x0, y0] = points[index], dx = x1 - x0, dy = y1 - y0;
      for (let i = 0; i < data.length; i++) {
        const x = (i % width) - x0, y = Math.floor(i / width) - y0;
        const t = Math.min(Math.max((x * dx + y * dy) / (dx * dx + dy * dy), 0), 1);
        const distance = Math.hypot(x - t * dx, y - t * dy);
        data[i] = Math.min(data[i], Math.min(Math.max((distance - 2.5) * 255, 0), 255));
      }
    });
  }
  return { width, height, data };
}

/** Repeats gray levels as red, green and blue, with an opaque alpha channel if there are four channels. */
export const withChannels = ({ width, height, data }, channels) => ({
  width,
  height,
  data: Uint8ClampedArray.from({ length: data.length * channels }, (_, i) =>
    channels === 4 && i % 4 === 3 ? 255 : data[Math.floor(i / channels)]),
});

/** A gray PNG file (ISO/IEC 15948). */
export function encodePng({ width, height, data }) {
  const chunk = (type, content) => {
    const body = Buffer.concat([Buffer.from(type), content]), length = Buffer.alloc(4), checksum = Buffer.alloc(4);
    length.writeUInt32BE(content.length);
    checksum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, checksum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  const rows = Array.from({ length: Math.ceil(data.length / width) }, (_, y) =>
    Buffer.concat([Buffer.from([0]), data.subarray(y * width, (y + 1) * width)]));
  const chunks = [['IHDR', header], ['IDAT', deflateSync(Buffer.concat(rows))], ['IEND', Buffer.alloc(0)]];
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...chunks.map(args => chunk(...args))]);
}

/** Two rows of eight digits of MNIST. */
export const DIGITS_PNG = readFileSync(new URL('../../../../docs/digits.png', import.meta.url));

/** The first of the rows, 160x24 pixels. */
export const ROW_JPEG = Buffer.from(`
  /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5
  moq6T/wAALCAAYAKABAREA/8QAGgAAAgMBAQAAAAAAAAAAAAAAAwQBAgUABv/EACsQAAICAgEDAwMDBQAAAAAAAAECAxEABBIhMUEFE1EUImEjQnEz
  YoGRof/aAAgBAQAAPwD0YF4KTZ1ozT7Ean4LC8vE8cyB425KTVjLkAAkmgO5OB1tnX2wxglDhTRrC0OlnvnNxRSzGgBZOdQNUe+TxykUkUwYxOHCkq
  a8H4y/HIHEmgwvJrrlJZIoV5SyKg+WNZYUVDA2D2OdIVjRnY0qiyfxkRMk0SyRtaMLB/GWC4tLv6UL8JNmNW+OWMdCAQbB7HJXMncj1PTtkbPtQsHI
  tP3A33XNbwKxHcT6zbGo7FYVT3Ho0W69B/GU04Y09RJ01Ua6xlGK9i13QxnZWX3oJI0LqhYsoIB6ih3wG6+xLHHC0SxrNIqH7rNdz/wZoeRiXqey8a
  prQf15zxX+0eW/xjGtrpq66wxjoo7+SfnKb42DrVrA8yQDRAIXzV+cR9M1g25LK0Qi9j9NVU3ZqySfJ65q2ASSaAzD3ZY552l1tf6iVwUQs34q1X4/
  JzU0HQ6qRry5RKFYMpBBrDTqHgkUiwykViXoEnuelQ2bZLU34o9s0LABJNDMD1KGZisUmtrQRTShS6UXNnvm4EEcaoopVFDIcco2XkyX+5e4xfX0df
  XlMgRpJT1Mkh5H/eNk4ttaWtsuJZoizKK6Eix8fnDxhEQKiBVHYAVWWBrBSxpMycgw9tg4I8nC31wLQR/VjaIYyBeA+ALw3LO5YCCL2ppnUkLI3LiR
  2PYnDGiCCLBFEYOGGDX+2GFUB78RWFJvO5YHWhh10YQoUDsXIPyctPFHsQvDKCUfvRrF9f0/W15AwV5HUdHkblX8Y2Tef//Z
`, 'base64');

/** Adds an orientation to a JPEG file (Exif 2.32, section 4.6.4): 3 is upside down. */
export function withOrientation(jpeg, orientation) {
  const tiff = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
  const segment = Buffer.concat([Buffer.from('Exif\0\0'), Buffer.from(tiff)]);
  const marker = Buffer.from([0xff, 0xe1, 0, segment.length + 2]);
  return Buffer.concat([jpeg.subarray(0, 2), marker, segment, jpeg.subarray(2)]);
}
