// Elements of the page.

/**
 * Returns the element with an ID.
 *
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export const element = id => /** @type {T} */ (document.getElementById(id));

/** @type {ReturnType<typeof setTimeout> | undefined} */
let announcement;

/**
 * Announces a text to screen readers, in the element `status`, as soon as it has not changed for a while.
 *
 * @param {string} text
 */
export function announce(text) {
  clearTimeout(announcement);
  announcement = setTimeout(() => {
    if (element('status').textContent !== text) element('status').textContent = text;
  }, 600);
}

/**
 * Offers a file for download.
 *
 * @param {BlobPart} content
 * @param {string} name
 * @param {string} type
 */
export function saveFile(content, name, type) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
