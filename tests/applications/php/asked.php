<?php

// What a test asks of a program: one line of JSON in, one line of JSON out, until the input ends.

/** Serve functions by name, which are given the arguments of the question and return what they found. */
function answer(array $checks): void
{
    while (false !== $line = fgets(STDIN)) {
        $given = json_decode($line, true, flags: JSON_THROW_ON_ERROR);
        try {
            $reply = ['found' => $checks[$given['check']]($given)];
        } catch (Throwable $error) {
            $reply = ['failed' => (string) $error];
        }
        fwrite(STDOUT, json_encode($reply, JSON_THROW_ON_ERROR)."\n");
    }
}
