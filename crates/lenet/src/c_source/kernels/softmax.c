/* Replaces logits by probabilities. An outlier class has the logit 0 and no element. */
static void softmax(float *logits, int count, float temperature, int outlier_class) {
    float max = outlier_class ? 0.0f : logits[argmax(logits, count)] / temperature;
    for (int k = 0; k < count; k++) {
        logits[k] /= temperature;
        if (logits[k] > max) max = logits[k];
    }
    float sum = outlier_class ? expf(-max) : 0.0f;
    for (int k = 0; k < count; k++) {
        logits[k] = expf(logits[k] - max);
        sum += logits[k];
    }
    for (int k = 0; k < count; k++) logits[k] /= sum;
}
