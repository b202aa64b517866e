#include "$name.h"

#include <math.h>

$constants
$functions
/* Writes the logits of an image. */
static void compute_logits($element *x, const uint8_t *pixels, float *logits) {
$statements}

int $name_predict(struct $name_workspace *workspace, const uint8_t pixels[$NAME_PIXELS]) {
    float logits[$NAME_CLASSES];
    compute_logits(workspace->activations, pixels, logits);
    return argmax(logits, $NAME_CLASSES);
}

int $name_probabilities(struct $name_workspace *workspace, const uint8_t pixels[$NAME_PIXELS],
                        float probabilities[$NAME_CLASSES]) {
    compute_logits(workspace->activations, pixels, probabilities);
    softmax(probabilities, $NAME_CLASSES, $temperature, $outlier_class);
    return argmax(probabilities, $NAME_CLASSES);
}
