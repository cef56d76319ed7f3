<?php

// Symfony Messenger's transport over Redis Streams, through the extension phpredis.

use Symfony\Component\Messenger\Bridge\Redis\Transport\RedisTransportFactory;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Stamp\DelayStamp;
use Symfony\Component\Messenger\Transport\Serialization\PhpSerializer;

require 'Symfony/Component/Messenger/Bridge/Redis/autoload.php';
require 'Symfony/Component/Messenger/autoload.php';
require __DIR__.'/asked.php';

final class Order
{
    public function __construct(public string $what)
    {
    }
}

$transports = [];
$held = [];

/** The transport of that name; the first question about it says how it is configured. */
$named = function (array $given) use (&$transports) {
    $options = ($given['options'] ?? []) + ['delete_after_ack' => true];
    return $transports[$given['name']] ??= (new RedisTransportFactory())->createTransport(
        $given['dsn'], ['transport_name' => null] + $options, new PhpSerializer()
    );
};

answer([
    'open' => function (array $given) use ($named): void {
        $named($given);
    },
    'setup' => function (array $given) use ($named): void {
        $named($given)->setup();
    },
    'send' => function (array $given) use ($named): void {
        $stamps = isset($given['delay']) ? [new DelayStamp($given['delay'])] : [];
        $named($given)->send(new Envelope(new Order($given['what']), $stamps));
    },
    'get' => function (array $given) use ($named, &$held): array {
        $what = [];
        foreach ($named($given)->get() as $envelope) {
            $what[] = $envelope->getMessage()->what;
            $held[$envelope->getMessage()->what] = $envelope;
        }
        return $what;
    },
    'ack' => function (array $given) use ($named, &$held): void {
        $named($given)->ack($held[$given['what']]);
    },
    'reject' => function (array $given) use ($named, &$held): void {
        $named($given)->reject($held[$given['what']]);
    },
    'forget' => function () use (&$transports, &$held): void {
        $transports = $held = [];
    },
]);
