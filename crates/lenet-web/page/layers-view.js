// The table of a network's layers, which can be edited.

import { element } from './element.js';

/** @typedef {Record<string, string | number>} LayerSettings with the key `type` */
/** @typedef {{ name: string, input: object, classes: number, layers: [string, LayerSettings][] }} Architecture */

/** @type {Record<string, LayerSettings>} a layer of each type, as it is added */
const NEW_LAYERS = {
  Conv2d: { type: 'Conv2d', in_channels: 1, out_channels: 16, kernel_size: 3, stride: 1, padding: 1 },
  Linear: { type: 'Linear', in_features: 1, out_features: 10 },
  BatchNorm2d: { type: 'BatchNorm2d', num_features: 1 },
  MaxPool2d: { type: 'MaxPool2d', kernel_size: 2, stride: 2 },
  AvgPool2d: { type: 'AvgPool2d', kernel_size: 2, stride: 2 },
  ReLU: { type: 'ReLU' },
  Tanh: { type: 'Tanh' },
  Dropout: { type: 'Dropout', p: 0.2 },
  Flatten: { type: 'Flatten' },
};

// They follow from the layer before.
const INPUT_SIZES = ['in_channels', 'in_features', 'num_features'];

/**
 * @param {Architecture} architecture
 * @param {string} type
 * @returns {string} a name that no layer has
 */
function newName({ layers }, type) {
  const prefix = type.toLowerCase().replace('2d', '');
  const names = new Set(layers.map(([name]) => name));
  let number = 1;
  while (names.has(`${prefix}${number}`)) number++;
  return `${prefix}${number}`;
}

/**
 * Shows the layers of an architecture.
 *
 * @param {Architecture} architecture
 * @param {any} summary of the architecture, from the library
 * @param {(architecture: Architecture) => void} onEdit is called with the edited architecture
 */
export function renderLayers(architecture, summary, onEdit) {
  /** @param {[string, LayerSettings][]} layers */
  const edit = layers => onEdit({ ...architecture, layers });
  const rows = architecture.layers.map(([name, settings], index) => {
    const row = document.createElement('tr');
    const { output, parameters, multiply_adds: multiplyAdds, error } = summary.layers[index];
    /** @param {LayerSettings} changed */
    const change = changed => edit(architecture.layers.toSpliced(index, 1, [name, changed]));

    const header = Object.assign(document.createElement('th'), { scope: 'row', textContent: name });
    row.append(header);

    const types = document.createElement('select');
    types.ariaLabel = `Type of ${name}`;
    types.append(...Object.keys(NEW_LAYERS).map(type => new Option(type, type, false, type === settings.type)));
    types.addEventListener('change', () => {
      const added = NEW_LAYERS[types.value];
      edit(architecture.layers.toSpliced(index, 1, [newName(architecture, types.value), added]));
    });
    row.insertCell().append(types);

    const fields = row.insertCell();
    for (const [key, value] of Object.entries(settings)) {
      if (key === 'type' || INPUT_SIZES.includes(key)) continue;
      const label = document.createElement('label');
      const input = Object.assign(document.createElement('input'), { type: 'number', value: `${value}`, step: 'any', min: '0' });
      input.addEventListener('change', () => change({ ...settings, [key]: input.valueAsNumber }));
      label.append(`${key.replace('_', ' ')} `, input);
      fields.append(label);
    }
    if (error) fields.append(Object.assign(document.createElement('p'), { className: 'error', textContent: error }));

    for (const text of [output, parameters, multiplyAdds]) row.insertCell().textContent = text;
    const remove = Object.assign(document.createElement('button'), { type: 'button', textContent: 'Remove' });
    remove.ariaLabel = `Remove ${name}`;
    remove.addEventListener('click', () => edit(architecture.layers.toSpliced(index, 1)));
    row.insertCell().append(remove);
    return row;
  });
  element('layers').replaceChildren(...rows);
  element('total-parameters').textContent = summary.parameters;
  element('total-multiply-adds').textContent = summary.multiply_adds;
}

/**
 * @param {Architecture} architecture
 * @returns {Architecture} the architecture with one more layer, before the last one
 */
export function withNewLayer(architecture) {
  const { layers } = architecture;
  return { ...architecture, layers: layers.toSpliced(-1, 0, [newName(architecture, 'ReLU'), NEW_LAYERS.ReLU]) };
}
