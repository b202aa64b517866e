// Readings in the JSON of the API, and their remarks in words.

/**
 * @typedef {object} Digit
 * @property {number} digit
 * @property {boolean} rejected
 * @property {number} confidence
 * @property {[number, number, number, number]} box left, top, width and height
 * @property {number[]} probabilities
 * @property {string[]} remarks
 *
 * @typedef {object} Mark
 * @property {string} mark
 * @property {boolean} doubtful
 * @property {[number, number, number, number]} box
 *
 * @typedef {object} Reading
 * @property {string} text
 * @property {{ text: string, probability: number }[]} alternatives
 * @property {Digit[]} digits
 * @property {Mark[]} marks
 * @property {{ tile: number[], maps: import('./gray-levels.js').Maps[] }[]} details
 * @property {string[]} remarks
 * @property {string} [timing]
 * @property {string} [error]
 */

/** @type {Record<string, string>} words for the codes of remarks; a code with an empty text is not shown */
export const REMARKS = {
  blank: 'nothing to recognize',
  no_digits: 'no digits found',
  inverted: 'light ink on a dark background',
  rotated: 'turned upright',
  off_center: 'off center',
  multiple_digits: '', // The digits themselves are visible.
  no_outlier_class: 'rejected by confidence alone',
  doubtful_mark: 'a doubtful mark is left out',
  doubtful_text: 'doubtful',
  left_out_digit_sized: 'something of a digit’s size was left out',
  more_left_out: '',
  not_a_digit: 'not a digit',
  unsure: 'confidence is too low',
  constraint_not_met: 'doesn’t have the pattern',
  among_rejected: 'most of this line is not digits',
  thickened: 'strokes thickened',
};

/**
 * @param {string[]} codes
 * @param {string[]} omitted
 * @returns {string[]} the words for codes of remarks, except for codes in `omitted`; unknown codes are shown as they are
 */
export const remarkTexts = (codes, omitted = []) =>
  codes
    .filter(code => !omitted.includes(code))
    .map(code => REMARKS[code] ?? code)
    .filter(text => text);

/**
 * @param {string} error
 * @returns {Reading} the reading that shows an error
 */
export const errorReading = error => ({
  text: '',
  alternatives: [],
  digits: [],
  marks: [],
  details: [],
  remarks: [],
  error,
  timing: '',
});

/** @param {string} text */
export const capitalize = text => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {number} probability */
export const percent = probability =>
  probability > 0.999 ? '>99.9%' : probability < 0.001 ? '<0.1%' : `${(100 * probability).toFixed(1)}%`;
