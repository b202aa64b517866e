/* $description Written by `lenet export`. */
#ifndef $NAME_H
#define $NAME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Pixels of an image $shape (channels, rows, columns), from 0, paper, to 255, ink. */
#define $NAME_PIXELS $pixels
#define $NAME_CLASSES $classes
$threshold
/* Memory for the activations of an image. Nothing in it is kept from one image to the next. */
struct $name_workspace {
    $element activations[$len];
};

/* Returns the most probable class of an image. */
int $name_predict(struct $name_workspace *workspace, const uint8_t pixels[$NAME_PIXELS]);

/* Writes the probability of each class of an image, and returns the most probable class. */
int $name_probabilities(struct $name_workspace *workspace, const uint8_t pixels[$NAME_PIXELS],
                        float probabilities[$NAME_CLASSES]);

#ifdef __cplusplus
}
#endif

#endif
